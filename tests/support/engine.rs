//! The real binary between two sockets of ours: a client's and an upstream's.
//!
//! Both ends are plain blocking sockets, so that a test can send half a message,
//! stall, leave, or look at every byte. Whatever reaches an [`Upstream`] is read
//! by a strict grammar; what breaks it fails the test when the upstream is dropped.

#![allow(
    clippy::allow_attributes,
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "each test crate uses a part of this, and tests fail by panicking"
)]

use std::{
    fs,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// How long anything may take that is expected to happen.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Polls until `test` holds.
#[track_caller]
pub fn until(what: &str, mut test: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !test() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        thread::sleep(Duration::from_millis(3));
    }
}

/// Asks for as many descriptors as the system gives.
pub fn raise_descriptor_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, all).unwrap();
}

/// A running tokenshim; killed when dropped.
pub struct Shim {
    child: Child,
    /// As the start line told them.
    pub addresses: Vec<String>,
    stderr: Arc<Mutex<String>>,
    log: PathBuf,
    /// Holds configuration and log.
    pub directory: tempfile::TempDir,
}

impl Shim {
    /// Starts with one worker, one TCP listener and a JSON log, unless `config` says otherwise.
    pub fn start(upstream: &Upstream, config: &str) -> Self {
        Self::start_with(&upstream.address, config, None)
    }

    pub fn start_with(upstream: &str, config: &str, descriptors: Option<u32>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tokenshim.toml");
        let workers = if config.contains("workers") {
            ""
        } else {
            "workers = 1\n"
        };
        fs::write(
            &file,
            format!("upstream = \"{upstream}\"\n{workers}{config}"),
        )
        .unwrap();
        let binary = env!("CARGO_BIN_EXE_tokenshim");
        let mut command = match descriptors {
            None => Command::new(binary),
            Some(limit) => {
                let mut shell = Command::new("sh");
                let line = format!("ulimit -n {limit}; exec \"$@\"");
                shell.args(["-c", &line, "sh", binary]);
                shell
            }
        };
        command.arg("serve").arg("--config").arg(&file);
        if !config.contains("[[listen]]") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let log = directory.path().join("access.log");
        if !config.contains("[access_log]") {
            command
                .env("TOKENSHIM_ACCESS_LOG__FILE", &log)
                .env("TOKENSHIM_ACCESS_LOG__FORMAT", "json");
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stderr.take().unwrap();
        let stderr = Arc::new(Mutex::new(String::new()));
        let collected = Arc::clone(&stderr);
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut piece) {
                let text = String::from_utf8_lossy(&piece[..count]).into_owned();
                collected.lock().unwrap().push_str(&text);
            }
        });
        let mut shim = Self {
            child,
            addresses: Vec::new(),
            stderr,
            log,
            directory,
        };
        until("the shim serves", || shim.read_addresses());
        shim
    }

    fn read_addresses(&mut self) -> bool {
        let text = self.diagnostics();
        if let Ok(Some(status)) = self.child.try_wait() {
            panic!("ended at once, {status}: {text}");
        }
        let Some((_, rest)) = text.split_once("listen=[") else {
            return false;
        };
        let Some((list, _)) = rest.split_once(']') else {
            return false;
        };
        self.addresses = list
            .split(", ")
            .map(|item| item.trim_matches('"').to_owned())
            .collect();
        true
    }

    /// A new client connection.
    pub fn connect(&self) -> End {
        End::connect(&self.addresses[0])
    }

    /// Everything on standard error so far.
    pub fn diagnostics(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for the process to end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the shim ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc")
            .join(self.child.id().to_string())
            .join(file)
    }

    /// A `kB` line of `/proc/PID/status`.
    pub fn kib(&self, name: &str) -> u64 {
        let text = fs::read_to_string(self.proc("status")).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// How many descriptors are open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// User and system time, in clock ticks of 10 ms.
    pub fn cpu_ticks(&self) -> u64 {
        let text = fs::read_to_string(self.proc("stat")).unwrap();
        let (_, fields) = text.rsplit_once(") ").unwrap();
        let field = |number: usize| -> u64 {
            let text = fields.split(' ').nth(number).unwrap();
            text.parse().unwrap()
        };
        field(11) + field(12)
    }

    /// The access log, when it has at least `count` lines.
    pub fn log(&self, count: usize) -> Vec<serde_json::Value> {
        let mut text = String::new();
        until("the log is written", || {
            text = fs::read_to_string(&self.log).unwrap_or_default();
            text.matches('\n').count() >= count
        });
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Where the log is.
    pub fn log_path(&self) -> &Path {
        &self.log
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the shim's diagnostics:\n{}", self.diagnostics());
        }
    }
}

/// A socket of either family.
trait Wire: Read + Write + Send {
    fn limit(&self, patience: Option<Duration>);
    fn finish(&self);
    fn twin(&self) -> Box<dyn Wire>;
}

macro_rules! wire {
    ($socket:ty) => {
        impl Wire for $socket {
            fn limit(&self, patience: Option<Duration>) {
                self.set_read_timeout(patience).unwrap();
                self.set_write_timeout(patience).unwrap();
            }

            fn finish(&self) {
                let _ = self.shutdown(Shutdown::Write);
            }

            fn twin(&self) -> Box<dyn Wire> {
                Box::new(self.try_clone().unwrap())
            }
        }
    };
}
wire!(TcpStream);
wire!(UnixStream);

/// One end of a connection: a client's or an upstream's.
pub struct End {
    wire: Box<dyn Wire>,
    /// Read and not yet used.
    pub input: Vec<u8>,
    /// Which connection of the upstream it is, from 0.
    pub number: usize,
    tally: Option<Arc<Tally>>,
}

impl End {
    fn new(wire: Box<dyn Wire>, number: usize, tally: Option<Arc<Tally>>) -> Self {
        wire.limit(Some(PATIENCE));
        Self {
            wire,
            input: Vec::new(),
            number,
            tally,
        }
    }

    /// `IP:PORT` or `unix:/PATH`.
    pub fn connect(address: &str) -> Self {
        let wire: Box<dyn Wire> = match address.strip_prefix("unix:") {
            Some(path) => Box::new(UnixStream::connect(path).unwrap()),
            None => {
                let stream = TcpStream::connect(address).unwrap();
                stream.set_nodelay(true).unwrap();
                Box::new(stream)
            }
        };
        Self::new(wire, 0, None)
    }

    /// A socket that was accepted elsewhere.
    pub fn from_tcp(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::new(Box::new(stream), 0, None)
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.write_all(bytes.as_ref())
    }

    /// Sends a byte at a time.
    pub fn trickle(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref() {
            self.send([*byte]);
            // Long enough for the byte to be read alone, as a rule.
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Says that nothing more will be sent.
    pub fn finish(&self) {
        self.wire.finish();
    }

    /// The same socket, for another thread.
    pub fn twin(&self) -> Self {
        Self::new(self.wire.twin(), self.number, self.tally.clone())
    }

    pub fn limit(&self, patience: Duration) {
        self.wire.limit(Some(patience));
    }

    /// Reads once; 0 at the end, be it a reset.
    pub fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 16 * 1024];
        let count = match self.wire.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
            read => read.unwrap_or(0),
        };
        self.input.extend_from_slice(&piece[..count]);
        Ok(count)
    }

    /// Waits for the end of the connection and returns what came before it.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill().expect("the connection stays open") > 0 {}
        std::mem::take(&mut self.input)
    }

    /// Whether the other side ends the connection, and sends nothing before, in this time.
    pub fn is_closed_within(&mut self, patience: Duration) -> bool {
        self.limit(patience);
        let is_closed = matches!(self.fill(), Ok(0));
        self.limit(PATIENCE);
        is_closed
    }

    /// Whether nothing comes in this time, not even the end.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        self.limit(time);
        let is_silent = self.input.is_empty() && self.fill().is_err();
        self.limit(PATIENCE);
        is_silent
    }

    /// The next `count` bytes, or fewer at the end.
    #[track_caller]
    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.input.len() < count && self.fill().expect("bytes are missing") > 0 {}
        let count = count.min(self.input.len());
        self.input.drain(..count).collect()
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            if let Some(at) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                break at;
            }
            if !matches!(self.fill(), Ok(1..)) {
                return None;
            }
        };
        let line = self.input.drain(..end + 2).collect::<Vec<_>>();
        Some(line[..end].to_vec())
    }

    /// The next head, without a body; `None` at the end or after [`PATIENCE`].
    pub fn head(&mut self) -> Option<Message> {
        let end = loop {
            if let Some(at) = self.input.windows(4).position(|end| end == b"\r\n\r\n") {
                break at + 4;
            }
            if !matches!(self.fill(), Ok(1..)) {
                return None;
            }
        };
        let head: Vec<u8> = self.input.drain(..end).collect();
        match Message::parse(&head[..end - 4]) {
            Ok(message) => Some(message),
            Err(fault) => {
                self.blame(&format!("{fault}: {}", head.escape_ascii()));
                None
            }
        }
    }

    /// The next request, judged; `None` at the end.
    pub fn request(&mut self) -> Option<Message> {
        let mut message = self.request_head()?;
        self.body(&mut message, false)?;
        if let Some(tally) = &self.tally {
            tally.requests.lock().unwrap().push(message.clone());
        }
        Some(message)
    }

    /// The next request's head, judged.
    pub fn request_head(&mut self) -> Option<Message> {
        let message = self.head()?;
        if let Err(fault) = message.judge_request() {
            self.blame(&format!("{fault}: {message:?}"));
            return None;
        }
        Some(message)
    }

    /// The next final response to something else than `HEAD`.
    #[track_caller]
    pub fn response(&mut self) -> Message {
        self.response_to(false)
    }

    #[track_caller]
    pub fn response_to(&mut self, is_head: bool) -> Message {
        let mut message = self.head().expect("no response");
        let is_whole = is_head || matches!(message.status(), 100..=199 | 204 | 304);
        if !is_whole {
            self.body(&mut message, true).expect("response cut short");
        }
        message
    }

    /// Reads the body of `message`; `None` if it ends early.
    pub fn body(&mut self, message: &mut Message, is_response: bool) -> Option<()> {
        if message.value("transfer-encoding").is_some() {
            return self.chunks(message);
        }
        match message.value("content-length") {
            Some(length) => {
                let length: usize = length.parse().unwrap();
                message.body = self.exactly(length);
                (message.body.len() == length).then_some(())
            }
            None if is_response => {
                message.body = self.rest();
                Some(())
            }
            None => Some(()),
        }
    }

    fn chunks(&mut self, message: &mut Message) -> Option<()> {
        loop {
            let line = String::from_utf8(self.line()?).unwrap();
            let is_strict = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
            let Some(size) = usize::from_str_radix(&line, 16).ok().filter(|_| is_strict) else {
                self.blame(&format!("chunk size {line:?}"));
                return None;
            };
            if size == 0 {
                break;
            }
            let data = self.exactly(size);
            message.body.extend_from_slice(&data);
            message.chunks += 1;
            let end = self.exactly(2);
            if data.len() < size || end.len() < 2 {
                return None;
            }
            if end != b"\r\n" {
                self.blame("chunk without its end");
                return None;
            }
        }
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(());
            }
            match field(&line) {
                Ok(field) => message.trailers.push(field),
                Err(fault) => self.blame(&format!("trailer {fault}")),
            }
        }
    }

    fn blame(&self, fault: &str) {
        match &self.tally {
            Some(tally) => tally.faults.lock().unwrap().push(fault.to_owned()),
            None => panic!("{fault}"),
        }
    }
}

/// A head and what belongs to it.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The request line or status line.
    pub start: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// How many chunks the body had.
    pub chunks: usize,
}

impl Message {
    fn parse(head: &[u8]) -> Result<Self, String> {
        let mut lines = head
            .split(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let bare = head
            .iter()
            .enumerate()
            .any(|(at, byte)| *byte == b'\n' && (at == 0 || head[at - 1] != b'\r'));
        if bare {
            return Err("bare line feed".into());
        }
        let start = text(lines.next().unwrap_or_default());
        let fields = lines.map(field).collect::<Result<_, _>>()?;
        Ok(Self {
            start,
            fields,
            ..Self::default()
        })
    }

    /// Every value of a field, whose name may be in any case.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The one value of a field.
    #[track_caller]
    pub fn value(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() < 2, "{name} twice: {self:?}");
        values.first().copied()
    }

    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap()
    }

    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The Matrix error code of an answer of the shim's own.
    #[track_caller]
    pub fn errcode(&self) -> String {
        assert_eq!(
            self.value("content-type"),
            Some("application/json"),
            "{self:?}"
        );
        assert_eq!(self.value("access-control-allow-origin"), Some("*"));
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        json["errcode"].as_str().unwrap().to_owned()
    }

    /// What a strict server asks of a request.
    fn judge_request(&self) -> Result<(), String> {
        let parts: Vec<&str> = self.start.split(' ').collect();
        let [method, target, "HTTP/1.1"] = parts[..] else {
            return Err("request line".into());
        };
        let is_method = !method.is_empty() && method.bytes().all(is_token);
        let is_uri = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'<' | b'>');
        let is_target = target == "*" || target.starts_with('/');
        if !is_method || !is_target || !target.bytes().all(is_uri) {
            return Err("request line".into());
        }
        let hosts = self.values("host");
        let is_host = |host: &str| {
            !host.is_empty()
                && !host
                    .bytes()
                    .any(|byte| matches!(byte, b'@' | b'/' | b',' | b' ' | b'?' | b'\\'))
        };
        if hosts.len() != 1 || !is_host(hosts[0]) {
            return Err("host".into());
        }
        let (lengths, codings) = (
            self.values("content-length"),
            self.values("transfer-encoding"),
        );
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_framed = lengths.len() + codings.len() < 2
            && lengths.iter().all(|length| is_number(length))
            && codings.iter().all(|coding| *coding == "chunked");
        if !is_framed {
            return Err("framing".into());
        }
        let for_one_hop = ["keep-alive", "proxy-connection", "proxy-authorization"];
        if for_one_hop.iter().any(|name| !self.values(name).is_empty()) {
            return Err("field of another hop".into());
        }
        let options = self.values("connection");
        let is_named = |field: &str| self.values(field).is_empty() || options == [field];
        if !is_named("Upgrade") || !is_named("TE") || options.len() > 1 {
            return Err("connection".into());
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn field(line: &[u8]) -> Result<(String, String), String> {
    let colon = line.iter().position(|&byte| byte == b':');
    let (name, value) = line.split_at(colon.ok_or("no colon")?);
    if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
        return Err("field name".into());
    }
    let value = value[1..].trim_ascii();
    if value
        .iter()
        .any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f)
    {
        return Err("field value".into());
    }
    Ok((text(name), text(value)))
}

/// What an upstream saw.
#[derive(Default)]
pub struct Tally {
    requests: Mutex<Vec<Message>>,
    faults: Mutex<Vec<String>>,
    connections: AtomicUsize,
    open: AtomicUsize,
}

/// An upstream of ours: each connection gets a thread with the script.
pub struct Upstream {
    /// As the configuration has it.
    pub address: String,
    tally: Arc<Tally>,
}

impl Upstream {
    /// Runs `script` for each TCP connection.
    pub fn start(script: impl Fn(End) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let accept = move || -> Box<dyn Wire> {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            Box::new(stream)
        };
        Self::run(address, accept, script)
    }

    /// The same on a unix socket.
    pub fn start_unix(path: &Path, script: impl Fn(End) + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let accept = move || -> Box<dyn Wire> { Box::new(listener.accept().unwrap().0) };
        Self::run(format!("unix:{}", path.display()), accept, script)
    }

    /// Answers each request of each connection with what `answer` makes of it.
    pub fn answer(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |mut end| {
            while let Some(request) = end.request() {
                if end.try_send(answer(&request)).is_err() {
                    return;
                }
            }
        })
    }

    /// Answers with method, target and the length of the body.
    pub fn echo() -> Self {
        Self::answer(|request| {
            let line = format!(
                "{} {} {}",
                request.method(),
                request.target(),
                request.body.len()
            );
            ok(&line)
        })
    }

    fn run(
        address: String,
        accept: impl Fn() -> Box<dyn Wire> + Send + 'static,
        script: impl Fn(End) + Send + Sync + 'static,
    ) -> Self {
        let tally = Arc::new(Tally::default());
        let (script, shared) = (Arc::new(script), Arc::clone(&tally));
        thread::spawn(move || {
            loop {
                let wire = accept();
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                shared.open.fetch_add(1, Ordering::SeqCst);
                let (script, tally) = (Arc::clone(&script), Arc::clone(&shared));
                let serve = move || {
                    let end = End::new(wire, number, Some(Arc::clone(&tally)));
                    if catch_unwind(AssertUnwindSafe(|| script(end))).is_err() {
                        tally
                            .faults
                            .lock()
                            .unwrap()
                            .push("the script panicked".into());
                    }
                    tally.open.fetch_sub(1, Ordering::SeqCst);
                };
                // Hundreds of them at once.
                let builder = thread::Builder::new().stack_size(256 * 1024);
                builder.spawn(serve).unwrap();
            }
        });
        Self { address, tally }
    }

    /// Every request that came whole.
    pub fn requests(&self) -> Vec<Message> {
        self.tally.requests.lock().unwrap().clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.tally.connections.load(Ordering::SeqCst)
    }

    /// How many scripts still run.
    pub fn open(&self) -> usize {
        self.tally.open.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let faults = self.tally.faults.lock().unwrap().clone();
        assert!(
            thread::panicking() || faults.is_empty(),
            "upstream's faults: {faults:#?}"
        );
    }
}

/// A response with a length.
pub fn ok(body: &str) -> Vec<u8> {
    response("200 OK", body)
}

pub fn response(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A request without a body.
pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
}

/// A request with a sized body.
pub fn with_body(method: &str, target: &str, body: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

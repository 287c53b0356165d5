//! The shim under test: its files, its output, and what it takes of the system.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{
    ask::CANARY,
    trouble::until,
    upstream::{Server, Speaks},
    world::FILES,
};

/// What the shim said on standard error.
#[derive(Default)]
pub(crate) struct Said {
    /// The addresses, once it serves.
    addresses: Vec<String>,
    last: String,
    /// Certificates that were taken up without a signal.
    pub(crate) renewed: u64,
    pub(crate) reloaded: u64,
    pub(crate) not_reloaded: u64,
    /// Lines that must not be: a canary, a panic, an error of no known reason.
    pub(crate) faults: Vec<String>,
}

/// The upstreams, and where they are.
pub(crate) struct Upstreams {
    pub(crate) one: Server,
    pub(crate) two: Server,
    pub(crate) flaky: Server,
    pub(crate) fickle: Server,
    pub(crate) tls: Server,
    pub(crate) http2: Server,
    pub(crate) torn: Server,
}

impl Upstreams {
    pub(crate) fn new(directory: &Path) -> Self {
        // Held together, so that no two get the same port.
        let sockets: [TcpListener; 6] = [(); 6].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let mut addresses = sockets.map(|socket| socket.local_addr().unwrap().to_string());
        let mut server = |number: usize, name, speaks| Server {
            name,
            address: std::mem::take(&mut addresses[number]),
            speaks,
            directory: directory.to_owned(),
        };
        Self {
            one: server(0, "one", Speaks::Plainly),
            two: server(1, "two", Speaks::Plainly),
            flaky: server(2, "flaky", Speaks::Plainly),
            tls: server(3, "tls", Speaks::Tls),
            http2: server(4, "http2", Speaks::Http2),
            torn: server(5, "torn", Speaks::Http2),
            fickle: Server {
                name: "fickle",
                address: directory.join("fickle.sock").display().to_string(),
                speaks: Speaks::Plainly,
                directory: directory.to_owned(),
            },
        }
    }
}

/// A running shim; killed when dropped.
pub(crate) struct House {
    child: Child,
    pub(crate) directory: TempDir,
    upstreams: Upstreams,
    pub(crate) said: Arc<Mutex<Said>>,
}

impl House {
    pub(crate) fn start(directory: TempDir, upstreams: Upstreams) -> Self {
        fs::write(directory.path().join(FILE), good(&upstreams, 0)).unwrap();
        let mut child = Command::new(binary())
            .args(["serve", "--config", FILE])
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::<Mutex<Said>>::default();
        let (pipe, shared) = (child.stderr.take().unwrap(), Arc::clone(&said));
        thread::spawn(move || listen(pipe, &shared));
        Self {
            child,
            directory,
            upstreams,
            said,
        }
    }

    /// Where it listens, once it does.
    pub(crate) async fn addresses(&self) -> Vec<String> {
        let serves = until(async || !self.said.lock().unwrap().addresses.is_empty()).await;
        let said = self.said.lock().unwrap();
        assert!(serves, "the shim does not serve: {}", said.last);
        said.addresses.clone()
    }

    /// Puts a file in place: one of the two good ones, or a bad one.
    pub(crate) fn write(&self, which: Option<usize>) {
        let text = match which {
            Some(which) => good(&self.upstreams, which),
            None => good(&self.upstreams, 1).replace("response =", "respond ="),
        };
        fs::write(self.path(FILE), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The one that tests are built with has tokio's clock for tests in it; a soak is for
/// the one that is shipped.
fn binary() -> PathBuf {
    let given = env::var_os("SOAK_BINARY");
    given.map_or_else(|| env!("CARGO_BIN_EXE_tokenshim").into(), PathBuf::from)
}

const FILE: &str = "tokenshim.toml";

/// Two files that differ in what requests can tell: where they go, and what answers gain.
fn good(upstreams: &Upstreams, which: usize) -> String {
    let stable = if which == 0 {
        &upstreams.one
    } else {
        &upstreams.two
    };
    let address = |server: &Server| server.address.clone();
    format!(
        r#"
upstream = "http://{stable}"
workers = 3
drain_timeout = "5s"
[relocate]
profile = "generic"
deprecation = "{deprecation}"
[[route]]
path = "/flaky"
upstream = "http://{flaky}"
[[route]]
path = "/fickle"
upstream = "unix:{fickle}"
[[route]]
path = "/tls"
upstream = "https://{tls}"
[[route]]
path = "/http2"
upstream = "https://{http2}"
[[route]]
path = "/torn"
upstream = "https://{torn}"
[upstream_tls]
ca_file = "authority.pem"
server_name = "hs.example"
http2 = true
[timeouts]
response = "{response}s"
[[listen]]
address = "127.0.0.1:0"
http2 = true
[[listen]]
address = "127.0.0.1:0"
tls = true
[[listen]]
address = "unix:{directory}/shim.sock"
[[listen]]
address = "127.0.0.1:0"
http2 = true
proxy_protocol = true
[[listen]]
address = "127.0.0.1:0"
tls = true
proxy_protocol = true
[[certificate]]
chain = "live/chain.pem"
key = "live/key.pem"
[admin]
listen = "unix:{directory}/admin.sock"
[access_log]
file = "access.log"
format = "json"
"#,
        deprecation = FILES[which],
        stable = address(stable),
        flaky = address(&upstreams.flaky),
        fickle = address(&upstreams.fickle),
        tls = address(&upstreams.tls),
        http2 = address(&upstreams.http2),
        torn = address(&upstreams.torn),
        directory = upstreams.one.directory.display(),
        response = 4 + which,
    )
}

fn listen(pipe: ChildStderr, said: &Mutex<Said>) {
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        let mut said = said.lock().unwrap();
        if let Some((_, rest)) = line.split_once("listen=[") {
            let list = rest.split(']').next().unwrap_or_default();
            let items = list
                .split(", ")
                .map(|item| item.trim_matches('"').to_owned());
            said.addresses = items.collect();
        }
        said.renewed += u64::from(line.contains("certificates reloaded"));
        said.reloaded += u64::from(line.contains("configuration reloaded"));
        let is_bad_file = line.contains("configuration not reloaded");
        said.not_reloaded += u64::from(is_bad_file);
        let is_bad = line.contains(CANARY)
            || line.contains("panic")
            || line.contains("lost")
            || (line.contains("ERROR") && !is_bad_file);
        if is_bad && said.faults.len() < 20 {
            said.faults.push(line.clone());
        }
        said.last = line;
    }
}

/// What a process takes of the system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) memory_kib: u64,
    pub(crate) descriptors: u64,
}

pub(crate) fn sample(process: u32) -> Sample {
    let proc = Path::new("/proc").join(process.to_string());
    let status = fs::read_to_string(proc.join("status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    Sample {
        memory_kib: line.split_whitespace().nth(1).unwrap().parse().unwrap(),
        descriptors: fs::read_dir(proc.join("fd")).unwrap().count() as u64,
    }
}

/// The processor time of a process so far.
pub(crate) fn processor_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2);
    // Linux counts in hundredths of a second here on every architecture of ours.
    ticks
        .map(|text| Duration::from_millis(text.parse::<u64>().unwrap() * 10))
        .sum()
}

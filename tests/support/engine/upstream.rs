//! An upstream that does what a test says, and remembers what it saw.

use std::{
    net::TcpListener,
    os::unix::net::UnixListener,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{End, Message, end::Wire, ok};

/// What an upstream saw.
#[derive(Default)]
pub struct Tally {
    requests: Mutex<Vec<Message>>,
    faults: Mutex<Vec<String>>,
    connections: AtomicUsize,
    open: AtomicUsize,
}

impl Tally {
    pub fn note(&self, request: Message) {
        self.requests.lock().unwrap().push(request);
    }

    pub fn blame(&self, fault: String) {
        self.faults.lock().unwrap().push(fault);
    }
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
        Self::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), script)
    }

    /// The same on a socket of the test's own.
    pub fn start_on(listener: TcpListener, script: impl Fn(End) + Send + Sync + 'static) -> Self {
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

    /// Runs `script` for each connection that `accept` gives.
    pub fn run(
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
                        tally.blame("the script panicked".into());
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

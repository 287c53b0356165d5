//! What a service manager does: it owns the sockets, and starts processes on them.

use std::{
    collections::{HashMap, HashSet},
    fs,
    net::TcpListener,
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    edge::Authority,
    engine::{Shim, Upstream, ok},
    inherit,
};

/// The name in the certificate.
pub(crate) const HOST: &str = "h.example";

/// The sockets, what is behind the shim, and one log for all processes.
pub(crate) struct Manager {
    web: TcpListener,
    tls: TcpListener,
    /// Who made the certificate.
    pub(crate) authority: Arc<Authority>,
    local: UnixListener,
    directory: tempfile::TempDir,
    upstream: Upstream,
    held: Arc<Held>,
}

/// What the upstream and the test tell each other.
#[derive(Default)]
struct Held {
    /// Requests for `/held/N` are answered when this is more than N.
    released: AtomicUsize,
    /// The targets of those, and of uploads, as soon as their heads are there.
    arrived: Mutex<HashSet<String>>,
}

impl Manager {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let held = Arc::<Held>::default();
        let manager = Self {
            web: TcpListener::bind("127.0.0.1:0").unwrap(),
            tls: TcpListener::bind("127.0.0.1:0").unwrap(),
            authority: Arc::new(Authority::new("manager")),
            local: UnixListener::bind(directory.path().join("local.sock")).unwrap(),
            upstream: holding(Arc::clone(&held)),
            directory,
            held,
        };
        let config = format!(
            "upstream = \"{}\"\nworkers = 2\ndrain_timeout = \"8s\"\n\
             [[listen]]\naddress = \"fd:web\"\nhttp2 = true\n\
             [[listen]]\naddress = \"fd:tls\"\ntls = true\n\
             [[listen]]\naddress = \"fd:local\"\n{}\
             [access_log]\nfile = \"{}\"\nformat = \"json\"\n",
            manager.upstream.address,
            manager
                .authority
                .issue(HOST)
                .section(manager.directory.path()),
            manager.log().display()
        );
        fs::write(manager.config(), config).unwrap();
        manager
    }

    /// Starts one more process on the sockets; it serves.
    pub(crate) fn start(&self) -> Shim {
        let sockets = vec![
            ("web", self.web.try_clone().unwrap().into()),
            ("tls", self.tls.try_clone().unwrap().into()),
            ("local", self.local.try_clone().unwrap().into()),
        ];
        let mut command = inherit::command(env!("CARGO_BIN_EXE_tokenshim"), sockets);
        command.arg("serve").arg("--config").arg(self.config());
        Shim::run(command, tempfile::tempdir().unwrap(), self.log())
    }

    /// Answers what is held with this number, and everything below.
    pub(crate) fn release(&self, number: usize) {
        self.held.released.store(number + 1, Ordering::SeqCst);
    }

    /// Whether the upstream has the head of the long poll and of the upload with this number.
    pub(crate) fn have_arrived(&self, number: usize) -> bool {
        let arrived = self.held.arrived.lock().unwrap();
        ["held", "upload"]
            .iter()
            .all(|kind| arrived.contains(&format!("/{kind}/{number}")))
    }

    pub(crate) fn web(&self) -> String {
        self.web.local_addr().unwrap().to_string()
    }

    pub(crate) fn tls(&self) -> String {
        self.tls.local_addr().unwrap().to_string()
    }

    pub(crate) fn local(&self) -> String {
        format!(
            "unix:{}",
            self.directory.path().join("local.sock").display()
        )
    }

    /// How often each target is in the log.
    pub(crate) fn lines(&self) -> HashMap<String, usize> {
        let mut lines = HashMap::new();
        for line in fs::read_to_string(self.log()).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["ending"], "complete", "{line}");
            let target = line["target"].as_str().unwrap().to_owned();
            *lines.entry(target).or_default() += 1;
        }
        lines
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("tokenshim.toml")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("access.log")
    }
}

/// Answers with target and body, and holds what it is asked to hold.
fn holding(held: Arc<Held>) -> Upstream {
    Upstream::start(move |mut end| {
        while let Some(mut request) = end.request_head() {
            let target = request.target().to_owned();
            if target.starts_with("/held/") || target.starts_with("/upload/") {
                held.arrived.lock().unwrap().insert(target.clone());
            }
            if end.body(&mut request, false).is_none() {
                return;
            }
            if let Some(number) = target.strip_prefix("/held/") {
                let number: usize = number.parse().unwrap();
                while held.released.load(Ordering::SeqCst) <= number {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            let answer = ok(&format!("{target} {}", request.text()));
            if end.try_send(answer).is_err() {
                return;
            }
        }
    })
}

//! The thread of one worker: a runtime of its own, an inbox for new
//! connections, and the end.

use std::{
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::LocalSet,
    time,
};

use crate::{
    clock,
    door::{self, Door},
    http1::socket::Socket,
    settings::Settings,
    worker::{Outfit, Phase, Worker},
};

/// A socket on its way from the acceptor to a worker.
#[derive(Debug)]
pub enum Accepted {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// Unix.
    Unix(std::os::unix::net::UnixStream),
}

/// What a worker is told.
#[derive(Debug)]
pub enum Message {
    /// Serve this connection, which came in by this door.
    Serve(Accepted, Arc<Door>),
    /// Say that you are alive.
    Ping(oneshot::Sender<()>),
    /// Serve new requests with these settings.
    Reload(Arc<Settings>),
    /// Finish what was begun, close what is idle.
    Drain,
    /// Cut what still waits.
    Cut,
}

/// The far end of a worker.
#[derive(Debug)]
pub struct Handle {
    messages: mpsc::UnboundedSender<Message>,
    load: Arc<AtomicUsize>,
}

impl Handle {
    /// How much it has to do: connections, and streams of HTTP/2 connections.
    #[must_use]
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Gives it a connection.
    pub fn serve(&self, socket: Accepted, door: Arc<Door>) {
        // Counted at once: the next connection may come before this one is taken up.
        self.load.fetch_add(1, Ordering::Relaxed);
        self.tell(Message::Serve(socket, door));
    }

    /// Waits until it says that it is alive; one that has ended hangs no more.
    pub async fn answers(&self) {
        let (pong, answer) = oneshot::channel();
        self.tell(Message::Ping(pong));
        let _ = answer.await;
    }

    /// Tells it something; one that has ended needs no telling.
    pub fn tell(&self, message: Message) {
        let _ = self.messages.send(message);
    }
}

/// Sends word when a thread ends, by panic too.
struct Farewell(mpsc::UnboundedSender<()>);

impl Drop for Farewell {
    fn drop(&mut self) {
        // Nobody listens once the process ends.
        let _ = self.0.send(());
    }
}

/// Starts a worker; `end` hears of its end.
///
/// # Errors
///
/// The thread's or the runtime's.
pub fn start(number: usize, outfit: Outfit, end: mpsc::UnboundedSender<()>) -> io::Result<Handle> {
    let (messages, inbox) = mpsc::unbounded_channel();
    let load = Arc::<AtomicUsize>::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        // No signals: they are for the main thread.
        .enable_io()
        .enable_time()
        .on_thread_unpark(clock::tick)
        .build()?;
    let handle = Handle {
        messages,
        load: Arc::clone(&load),
    };
    thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || {
            let _farewell = Farewell(end);
            let worker = Worker::new(outfit, load);
            LocalSet::new().block_on(&runtime, run(worker, inbox));
        })?;
    Ok(handle)
}

/// How long a client may still send a request on a connection that it kept: it
/// does not know yet that we stop.
const LAST_REQUESTS: Duration = Duration::from_millis(500);

/// How long the last answers may take to leave once waiting was cut.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves connections until it is drained.
async fn run(worker: Rc<Worker>, mut inbox: mpsc::UnboundedReceiver<Message>) {
    let flushing = Rc::clone(&worker);
    tokio::task::spawn_local(async move { flushing.lines.keep_flushing().await });
    let tidying = Rc::clone(&worker.buffers);
    tokio::task::spawn_local(async move { tidying.pipes.keep_tidy().await });
    tokio::task::spawn_local(clock::keep_waking());
    while worker.phase() == Phase::Running {
        heed(&worker, inbox.recv().await);
    }
    let drain = async {
        time::sleep(LAST_REQUESTS).await;
        if worker.phase() < Phase::Draining {
            worker.advance(Phase::Draining);
        }
        std::future::pending::<()>().await;
    };
    let cut = async {
        while worker.phase() < Phase::Cut {
            heed(&worker, inbox.recv().await);
        }
        time::sleep(FAREWELL).await;
    };
    tokio::select! {
        () = worker.drained() => {}
        () = drain => {}
        () = cut => {}
    }
}

/// Does what a message asks for. While we drain, too, a connection that was
/// accepted just before gets its answer.
fn heed(worker: &Rc<Worker>, message: Option<Message>) {
    match message {
        Some(Message::Serve(socket, door)) => {
            serve(worker, socket, door);
            worker.took_up();
        }
        Some(Message::Ping(pong)) => {
            // Whoever asked may have lost interest.
            let _ = pong.send(());
        }
        Some(Message::Reload(settings)) => worker.reload(settings),
        Some(Message::Drain) => worker.advance(Phase::LastRequests),
        Some(Message::Cut) | None => worker.advance(Phase::Cut),
    }
}

/// Gives a connection its task.
fn serve(worker: &Rc<Worker>, socket: Accepted, door: Arc<Door>) {
    let socket = match socket {
        Accepted::Tcp(stream) => tokio::net::TcpStream::from_std(stream).map(Socket::Tcp),
        Accepted::Unix(stream) => tokio::net::UnixStream::from_std(stream).map(Socket::Unix),
    };
    match socket {
        Err(error) => tracing::warn!(%error, "accepted socket cannot be used"),
        Ok(socket) => worker.spawn(door::enter(Rc::clone(worker), socket, door)),
    }
}

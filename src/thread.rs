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

use tokio::{sync::mpsc, task::LocalSet};

use crate::{
    access_log::sink::Sink,
    config::AccessLogFormat,
    connection,
    http1::stream::Stream,
    hygiene::Peer,
    settings::Settings,
    worker::{Phase, Worker},
};

/// A socket on its way from the acceptor to a worker.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// Unix.
    Unix(std::os::unix::net::UnixStream),
}

/// What a worker is told.
#[derive(Debug)]
pub enum Message {
    /// Serve this connection.
    Serve(Socket, Peer),
    /// Finish what was begun, close what is idle.
    Drain,
    /// Cut what still waits.
    Cut,
}

/// A connection's place in its worker: it can be woken, and it is counted until
/// it ends, by panic too.
struct Place {
    worker: Rc<Worker>,
    key: usize,
    load: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
        self.worker.leave(self.key);
    }
}

/// The far end of a worker.
#[derive(Debug)]
pub struct Handle {
    messages: mpsc::UnboundedSender<Message>,
    load: Arc<AtomicUsize>,
}

impl Handle {
    /// How many connections it serves.
    #[must_use]
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Gives it a connection.
    pub fn serve(&self, socket: Socket, peer: Peer) {
        self.load.fetch_add(1, Ordering::Relaxed);
        self.tell(Message::Serve(socket, peer));
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

/// Starts a worker with its access log; `end` hears of its end.
///
/// # Errors
///
/// The thread's or the runtime's.
pub fn start(
    number: usize,
    settings: Arc<Settings>,
    (format, sink): (AccessLogFormat, Sink),
    end: mpsc::UnboundedSender<()>,
) -> io::Result<Handle> {
    let (messages, inbox) = mpsc::unbounded_channel();
    let load = Arc::new(AtomicUsize::new(0));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let counted = Arc::clone(&load);
    thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || {
            let _farewell = Farewell(end);
            let worker = Worker::new(settings, format, sink);
            LocalSet::new().block_on(&runtime, run(worker, inbox, counted));
        })?;
    Ok(Handle { messages, load })
}

/// How long the last answers may take to leave once waiting was cut.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves connections until it is drained.
async fn run(
    worker: Rc<Worker>,
    mut inbox: mpsc::UnboundedReceiver<Message>,
    load: Arc<AtomicUsize>,
) {
    let (flushing, reaping) = (Rc::clone(&worker), Rc::clone(&worker));
    tokio::task::spawn_local(async move { flushing.lines.keep_flushing().await });
    tokio::task::spawn_local(async move { reaping.pool.keep_reaping().await });
    while worker.phase() == Phase::Running {
        heed(&worker, inbox.recv().await, &load);
    }
    let cut = async {
        while worker.phase() < Phase::Cut {
            heed(&worker, inbox.recv().await, &load);
        }
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        () = worker.drained() => {}
        () = cut => {}
    }
}

/// Does what a message asks for. While we drain, too, a connection that was
/// accepted just before gets its answer.
fn heed(worker: &Rc<Worker>, message: Option<Message>, load: &Arc<AtomicUsize>) {
    match message {
        Some(Message::Serve(socket, peer)) => serve(worker, socket, peer, load),
        Some(Message::Drain) => worker.advance(Phase::Draining),
        Some(Message::Cut) | None => worker.advance(Phase::Cut),
    }
}

/// Gives a connection its task.
fn serve(worker: &Rc<Worker>, socket: Socket, peer: Peer, load: &Arc<AtomicUsize>) {
    let stream = match socket {
        Socket::Tcp(stream) => tokio::net::TcpStream::from_std(stream).map(Stream::Tcp),
        Socket::Unix(stream) => tokio::net::UnixStream::from_std(stream).map(Stream::Unix),
    };
    // Registered before the task runs, so that a drain cannot overlook it.
    let place = Place {
        worker: Rc::clone(worker),
        key: worker.enter(),
        load: Arc::clone(load),
    };
    match stream {
        Err(error) => tracing::warn!(%error, "accepted socket cannot be used"),
        Ok(stream) => {
            tokio::task::spawn_local(async move {
                let waker =
                    std::future::poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone())).await;
                place.worker.wake(place.key, waker);
                if place.worker.phase() > Phase::Running {
                    // What has arrived is seen only after a turn of the reactor.
                    tokio::task::yield_now().await;
                }
                let socket = connection::serve(&place.worker, stream, peer).await;
                // Counted out before the client can see the end.
                drop(place);
                drop(socket);
            });
        }
    }
}

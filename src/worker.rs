//! One thread with everything it needs: runtime, upstream connections, buffers,
//! log lines. Nothing on the request path is shared with another worker.

use std::{
    cell::{Cell, RefCell},
    fmt, io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
    thread,
    time::Duration,
};

use slab::Slab;
use tokio::{
    sync::{Notify, mpsc},
    task::LocalSet,
};

use crate::{
    access_log::{Lines, sink::Sink},
    config::AccessLogFormat,
    connection,
    http1::{buffer, stream::Stream},
    hygiene::Peer,
    settings::Settings,
    upstream::Pool,
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

/// How far the shutdown is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not begun.
    #[default]
    Running,
    /// Each connection ends with its request.
    Draining,
    /// Waiting ends now.
    Cut,
}

/// What the connections of one worker share.
pub struct Worker {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The access log.
    pub lines: Rc<Lines>,
    /// Upstream connections.
    pub pool: Pool,
    /// Read buffers.
    pub buffers: Rc<buffer::Pool>,
    /// Spare memory for heads.
    heads: RefCell<Vec<Vec<u8>>>,
    phase: Cell<Phase>,
    tasks: RefCell<Slab<Waker>>,
    ended: Notify,
}

impl Worker {
    /// How far the shutdown is.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// An empty vector to write a head into.
    pub fn lend_head(&self) -> Vec<u8> {
        self.heads.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a vector back.
    pub fn return_head(&self, mut head: Vec<u8>) {
        /// Enough for the busiest moment of a homeserver.
        const MOST: usize = 256;
        /// One huge head must not be remembered for ever.
        const LARGEST: usize = 16 * 1024;
        let mut heads = self.heads.borrow_mut();
        if heads.len() < MOST && head.capacity() <= LARGEST {
            head.clear();
            heads.push(head);
        }
    }

    /// Moves on and lets every connection see it.
    fn advance(&self, phase: Phase) {
        self.phase.set(phase);
        if phase == Phase::Cut {
            self.lines.stop();
        }
        for (_, waker) in &*self.tasks.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Waits for the last connection to end.
    async fn drained(&self) {
        while !self.tasks.borrow().is_empty() {
            self.ended.notified().await;
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
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
        self.worker.tasks.borrow_mut().try_remove(self.key);
        self.load.fetch_sub(1, Ordering::Relaxed);
        self.worker.ended.notify_one();
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
            let worker = Rc::new(Worker {
                lines: Lines::new(format, Arc::clone(&settings.redactor), sink),
                pool: Pool::new(settings.timeouts.upstream_idle),
                buffers: Rc::default(),
                heads: RefCell::default(),
                phase: Cell::default(),
                tasks: RefCell::default(),
                ended: Notify::new(),
                settings,
            });
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
    while let Some(message) = inbox.recv().await {
        match message {
            Message::Serve(socket, peer) => serve(&worker, socket, peer, &load),
            Message::Drain => {
                worker.advance(Phase::Draining);
                break;
            }
            Message::Cut => {
                worker.advance(Phase::Cut);
                break;
            }
        }
    }
    let cut = async {
        while worker.phase() < Phase::Cut {
            match inbox.recv().await {
                // Accepted just before: it gets its answer, too.
                Some(Message::Serve(socket, peer)) => serve(&worker, socket, peer, &load),
                Some(Message::Drain) => {}
                Some(Message::Cut) | None => worker.advance(Phase::Cut),
            }
        }
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        () = worker.drained() => {}
        () = cut => {}
    }
}

/// Gives a connection its task.
fn serve(worker: &Rc<Worker>, socket: Socket, peer: Peer, load: &Arc<AtomicUsize>) {
    let stream = match socket {
        Socket::Tcp(stream) => tokio::net::TcpStream::from_std(stream).map(Stream::Tcp),
        Socket::Unix(stream) => tokio::net::UnixStream::from_std(stream).map(Stream::Unix),
    };
    // Registered before the task runs, so that a drain cannot overlook it.
    let key = worker.tasks.borrow_mut().insert(Waker::noop().clone());
    let place = Place {
        worker: Rc::clone(worker),
        key,
        load: Arc::clone(load),
    };
    match stream {
        Err(error) => tracing::warn!(%error, "accepted socket cannot be used"),
        Ok(stream) => {
            tokio::task::spawn_local(async move {
                let waker =
                    std::future::poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone())).await;
                if let Some(slot) = place.worker.tasks.borrow_mut().get_mut(place.key) {
                    *slot = waker;
                }
                connection::serve(&place.worker, stream, peer).await;
            });
        }
    }
}

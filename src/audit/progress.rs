//! Shows on a terminal how far a scan is; anywhere else it is silent.

use std::{
    io::{self, IsTerminal as _},
    sync::{Arc, atomic::Ordering, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::scan::Watch;

/// How often it is drawn.
const PERIOD: Duration = Duration::from_millis(200);

/// A bar that is gone when it is dropped.
#[derive(Debug)]
pub(super) struct Progress {
    end: mpsc::Sender<()>,
    drawer: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins to show how much of `total` bytes is done; 0 if nobody knows how many.
    pub(super) fn start(total: u64, watch: &Arc<Watch>) -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let (end, ended) = mpsc::channel();
        let watch = Arc::clone(watch);
        let drawer = thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || draw(total, &watch, &ended))
            .ok();
        Some(Self { end, drawer })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // It has ended already if nobody listens.
        let _ = self.end.send(());
        if let Some(drawer) = self.drawer.take() {
            let _ = drawer.join();
        }
    }
}

fn draw(total: u64, watch: &Watch, ended: &mpsc::Receiver<()>) {
    let target = ProgressDrawTarget::stderr();
    let (bar, template) = if total == 0 {
        let bar = ProgressBar::with_draw_target(None, target);
        (bar, "{spinner} {bytes} ({bytes_per_sec})")
    } else {
        let bar = ProgressBar::with_draw_target(Some(total), target);
        (
            bar,
            "{bar:32} {bytes} of {total_bytes} ({bytes_per_sec}, {eta} left)",
        )
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(PERIOD) {
        bar.set_position(watch.done.load(Ordering::Relaxed));
    }
    bar.finish_and_clear();
}

//! Signals that end the program: what is temporary goes with it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// Files and folders that are not to outlive the program.
static TEMPORARY: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
/// Whether the command stops by itself at a signal.
static IS_AWAITED: AtomicBool = AtomicBool::new(false);
/// Whether the signal came.
static HAS_COME: AtomicBool = AtomicBool::new(false);

fn temporary() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // A panic elsewhere cannot leave the set half changed.
    TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or a folder in the list of those that are removed when a signal comes.
#[derive(Debug)]
pub(super) struct Listed(PathBuf);

/// Makes one that is in the list from its first moment on.
pub(super) fn listed<T>(
    make: impl FnOnce() -> io::Result<T>,
    path: impl FnOnce(&T) -> PathBuf,
) -> io::Result<(T, Listed)> {
    listen();
    let mut list = temporary();
    let made = make()?;
    let path = path(&made);
    list.insert(path.clone());
    Ok((made, Listed(path)))
}

impl Drop for Listed {
    fn drop(&mut self) {
        temporary().remove(&self.0);
    }
}

/// While this lives, the first signal does not end the program: its owner
/// asks whether one came, and stops. The second signal ends the program.
#[derive(Debug)]
pub struct Stop(());

impl Stop {
    /// Waits for a signal.
    pub fn on_signal() -> Self {
        listen();
        IS_AWAITED.store(true, Ordering::Relaxed);
        Self(())
    }

    /// Whether a signal came.
    pub fn has_come(&self) -> bool {
        HAS_COME.load(Ordering::Relaxed)
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        IS_AWAITED.store(false, Ordering::Relaxed);
    }
}

/// Listens in a thread of its own, from the first call on.
fn listen() {
    static ONCE: Once = Once::new();
    // Without a handler a signal leaves partial files, and no harm.
    ONCE.call_once(|| drop(handle(on_signal)));
}

fn on_signal(end: impl FnOnce()) {
    if IS_AWAITED.swap(false, Ordering::Relaxed) {
        HAS_COME.store(true, Ordering::Relaxed);
        return;
    }
    // Kept to the end: nobody makes another file, or tells of a lost one.
    let list = temporary();
    for path in &*list {
        let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
    }
    end();
}

/// Calls `on_signal` at each signal, with what ends the program as the signal
/// would have ended it.
#[cfg(unix)]
fn handle(on_signal: fn(Box<dyn FnOnce()>)) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    if !ignores(SIGHUP) {
        signals.add_signal(SIGHUP)?;
    }
    std::thread::spawn(move || {
        for signal in signals.forever() {
            on_signal(Box::new(move || drop(emulate_default_handler(signal))));
        }
    });
    Ok(())
}

/// Whether the program was started with this signal ignored, as `nohup` starts it:
/// to listen to the signal would undo that. Where the system does not say, it
/// counts as ignored.
#[cfg(unix)]
fn ignores(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(not(unix))]
fn handle(on_signal: fn(Box<dyn FnOnce()>)) -> io::Result<()> {
    let end = || std::process::exit(130);
    ctrlc::set_handler(move || on_signal(Box::new(end))).map_err(io::Error::other)
}

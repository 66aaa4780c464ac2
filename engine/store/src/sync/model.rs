//! The same types, scheduled by a model checker.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::time::Duration;

#[cfg(loom)]
use loom as checker;
#[cfg(all(shuttle, not(loom)))]
use shuttle as checker;

use super::Mistake;

/// Atomics.
pub(crate) mod atomic {
    pub(crate) use super::checker::sync::atomic::{AtomicU64, Ordering};
}

/// Mutual exclusion, with the interface of `parking_lot`.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(checker::sync::Mutex<T>);

/// Holds a [`Mutex`]; empty only while it waits.
#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T>(Option<checker::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(checker::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("held")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("held")
    }
}

/// A condition variable, with the interface of `parking_lot`.
#[derive(Debug, Default)]
pub(crate) struct Condvar(checker::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(checker::sync::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.0.take().expect("held");
        guard.0 = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits without a bound: see [`super`].
    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _: Duration) {
        self.wait(guard);
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Many readers or one writer, with the interface of `parking_lot`.
#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(checker::sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(checker::sync::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> checker::sync::RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> checker::sync::RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Threads of the engine.
pub(crate) mod thread {
    use std::time::Duration;

    pub(crate) use super::checker::thread::JoinHandle;

    /// Room for encoding a segment.
    const STACK_BYTES: usize = 1 << 20;

    pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        let builder = super::checker::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
        builder.spawn(body).expect("the model gives threads")
    }

    /// Lets others go first.
    pub(crate) fn sleep(_: Duration) {
        super::checker::thread::yield_now();
    }
}

static MAKE: parking_lot::Mutex<Option<Mistake>> = parking_lot::Mutex::new(None);

/// Makes this mistake from now on, in the whole process; `None`: none.
pub fn make(mistake: Option<Mistake>) {
    *MAKE.lock() = mistake;
}

pub(crate) fn mistaken(mistake: Mistake) -> bool {
    *MAKE.lock() == Some(mistake)
}

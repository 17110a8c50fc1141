//! How quinn's own tasks run: after everything else that is ready.
//!
//! Whoever writes to a stream wakes its connection's task, and tokio runs what was woken last first: so each of eight answers to one device
//! would leave in a packet of its own. Here a task that was woken lets everything go first that was ready before it, and then sends what
//! has gathered: a packet with eight answers costs hardly more than one with a single one. While nothing else is ready, nothing is waited
//! for.

use std::{
    future::Future,
    io,
    net::UdpSocket,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};

/// Tokio, with tasks that stand back once each time they are woken.
#[derive(Debug)]
pub(super) struct Patient;

impl Runtime for Patient {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        TokioRuntime.spawn(Box::pin(StandBack { future, has_stood_back: false }));
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

/// A future that goes to the end of the queue before it does anything.
struct StandBack {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    has_stood_back: bool,
}

impl Future for StandBack {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<()> {
        if !std::mem::replace(&mut self.has_stood_back, true) {
            // A task that wakes itself while it runs is queued behind all others.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.has_stood_back = false;
        self.future.as_mut().poll(context)
    }
}

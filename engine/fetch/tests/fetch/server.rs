//! The exchange behind a socket: a thread for each connection, one request each.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tapestore_fetch::wire::Reply;

/// How a reply goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// At once.
    Whole,
    /// The connection ends in the middle of the body.
    Cut,
    /// Head and half of the body, and then nothing.
    Stalled,
    /// Nothing at all.
    Silent,
}

/// Answers requests for a path with a query.
pub(crate) type Answer = dyn Fn(&str) -> (Reply, Delivery) + Send + Sync;

/// A server on a port of its own; it ends when dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    ended: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&str) -> (Reply, Delivery) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (ended, answer): (Arc<AtomicBool>, Arc<Answer>) = (Arc::default(), Arc::new(answer));
        let flag = Arc::clone(&ended);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if flag.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), answer, flag) = (stream, Arc::clone(&answer), Arc::clone(&flag)) else {
                    return;
                };
                std::thread::spawn(move || serve(stream, &*answer, &flag));
            }
        });
        Self { url: format!("http://{address}"), ended }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, ended: &AtomicBool) {
    let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
    let Some(Ok(first)) = lines.next() else { return };
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let path = first.split(' ').nth(1).unwrap_or("/");
    let (reply, delivery) = answer(path);
    let mut head = format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("connection: close\r\n\r\n");
    let half = reply.body.len() / 2;
    let body = if delivery == Delivery::Whole { &reply.body[..] } else { &reply.body[..half] };
    if delivery != Delivery::Silent {
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(body);
        let _ = stream.flush();
    }
    while matches!(delivery, Delivery::Silent | Delivery::Stalled) && !ended.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! Connections: limited in number and idle time, and closed gracefully.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

/// Maximum number of connections, if the limit of open files allows it.
const MOST: u64 = 10_000;
/// Open files that the node needs itself: for its database, file store and webhooks.
const OWN_FILES: u64 = 256;
/// Longest time until a connection has sent a complete request head. Longer than the minute after which most proxies close an idle
/// connection, so that no proxy sends a request on a connection that is being closed.
const HEAD: Duration = Duration::from_secs(75);
/// Pause before accepting again when the machine is out of resources.
const PAUSE: Duration = Duration::from_millis(100);
/// Answer to a connection over the limit.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Limits on connections.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Total number. One peer address may have half of them, so that it cannot lock out all others.
    pub connections: usize,
    /// Time from the start of a connection, or the end of the previous request, to the end of a request head.
    pub head: Duration,
}

impl Bounds {
    /// Returns the limits of this machine, after raising the limit of open files.
    pub fn of_this_machine() -> Self {
        let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(MOST);
        let connections = files.saturating_sub(OWN_FILES).clamp(OWN_FILES, MOST);
        Self {
            connections: usize::try_from(connections).unwrap_or(usize::MAX),
            head: HEAD,
        }
    }
}

/// Serves connections until told to stop; returns once every request in flight is answered.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let open = Arc::new(Open::default());
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head);
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                wait_after(&error).await;
                continue;
            }
        };
        let Some(place) = Open::place(&open, peer.ip(), bounds.connections) else {
            refuse(&stream);
            continue;
        };
        let connection = builder.serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that disconnects is not a fault of this node.
            if let Err(error) = connection.await {
                tracing::trace!(%error, "a connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Pauses after an error, unless only the new connection failed; other causes may take a moment to pass.
async fn wait_after(error: &io::Error) {
    let gone = [
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::ConnectionReset,
    ];
    if !gone.contains(&error.kind()) {
        tracing::warn!(%error, "cannot accept connections; raise the limit of open files if there are too many");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Tells a client to retry later, if it listens.
fn refuse(stream: &TcpStream) {
    metrics::counter!("daybook_connections_refused_total").increment(1);
    let _ = stream.try_write(FULL);
}

/// The open connections.
#[derive(Default)]
struct Open(Mutex<Peers>);

#[derive(Default)]
struct Peers {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The slot of a connection; dropping it frees the slot.
struct Place {
    open: Arc<Open>,
    peer: IpAddr,
}

impl Open {
    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection; returns `None` if there are too many.
    fn place(open: &Arc<Self>, peer: IpAddr, most: usize) -> Option<Place> {
        let mut peers = open.peers();
        let all = peers.all;
        let own = peers.by_address.entry(peer).or_default();
        let is_free = all < most && *own < most.div_ceil(2);
        if is_free {
            *own += 1;
            peers.all += 1;
            show(peers.all);
        } else if *own == 0 {
            peers.by_address.remove(&peer);
        }
        drop(peers);
        is_free.then(|| Place {
            open: Arc::clone(open),
            peer,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut peers = self.open.peers();
        peers.all -= 1;
        show(peers.all);
        if let Some(own) = peers.by_address.get_mut(&self.peer) {
            *own -= 1;
            if *own == 0 {
                peers.by_address.remove(&self.peer);
            }
        }
    }
}

fn show(connections: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a metric")]
    metrics::gauge!("daybook_connections").set(connections as f64);
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::{Notify, oneshot};
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    struct Served {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        server: JoinHandle<()>,
    }

    async fn serve_with(bounds: Bounds, router: Router) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, router, bounds, async move {
            let _ = stopped.await;
        }));
        Served {
            address,
            stop,
            server,
        }
    }

    fn router() -> Router {
        Router::new().route("/", get(async || "tea"))
    }

    fn bounds(connections: usize, head: Duration) -> Bounds {
        Bounds { connections, head }
    }

    /// Sends text, and reads until the server closes the connection.
    async fn said(mut stream: TcpStream, sent: &str) -> String {
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut text = vec![];
        let read = timeout(PATIENCE, stream.read_to_end(&mut text)).await;
        // The rest of a refused connection may be lost.
        let _ = read.expect("the server closes the connection");
        String::from_utf8(text).unwrap()
    }

    const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

    #[tokio::test]
    async fn a_connection_that_sends_no_whole_head_is_closed() {
        let served = serve_with(bounds(10, Duration::from_millis(50)), router()).await;
        for sent in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: a\r\n"] {
            let stream = TcpStream::connect(served.address).await.unwrap();
            assert!(!said(stream, sent).await.contains("200 OK"), "{sent}");
        }
        // A connection that had its answer and sends nothing more is closed, too.
        let stream = TcpStream::connect(served.address).await.unwrap();
        let answer = said(stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(answer.ends_with("tea"), "{answer}");
    }

    #[tokio::test]
    async fn one_address_cannot_take_all_connections() {
        let served = serve_with(bounds(4, PATIENCE), router()).await;
        let connect = async || TcpStream::connect(served.address).await.unwrap();
        let (first, _second) = (connect().await, connect().await);
        let refused = said(connect().await, "").await;
        assert!(refused.contains("503"), "{refused}");
        // Another address is accepted, and so is this one after it closes a connection.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let other = socket.connect(served.address).await.unwrap();
        assert!(said(other, REQUEST).await.ends_with("tea"));
        drop(first);
        timeout(PATIENCE, async {
            while !said(connect().await, REQUEST).await.ends_with("tea") {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("there is room again");
    }

    #[tokio::test]
    async fn what_is_under_way_is_answered_before_the_end() {
        let (asked, may_answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tells, waits) = (Arc::clone(&asked), Arc::clone(&may_answer));
        let answer = async move || {
            tells.notify_one();
            waits.notified().await;
            "tea"
        };
        let served = serve_with(bounds(10, PATIENCE), Router::new().route("/", get(answer))).await;
        let stream = TcpStream::connect(served.address).await.unwrap();
        let _silent = TcpStream::connect(served.address).await.unwrap();
        let client = tokio::spawn(said(stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
        asked.notified().await;
        served.stop.send(()).unwrap();
        while TcpStream::connect(served.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        may_answer.notify_one();
        assert!(client.await.unwrap().ends_with("tea"));
        timeout(PATIENCE, served.server).await.unwrap().unwrap();
    }
}

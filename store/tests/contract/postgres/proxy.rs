//! A proxy between a node and its database that breaks the connection at critical messages.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// The message before which the connection is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The client's append: the database never sees it.
    Request,
    /// The database's confirmation of the commit: the client never sees it.
    Answer,
}

/// The category of the tests' streams, encoded as a statement's parameter.
const APPEND: &[u8] = b"\0\0\0\x04note";
/// The messages that end a transaction with an append: of a call, or of several statements.
const COMMITTED: [&[u8]; 2] = [b"SELECT 1\0Z\0\0\0\x05I", b"COMMIT\0Z\0\0\0\x05I"];

/// One connection, seen from both sides.
#[derive(Default)]
struct Connection {
    /// True if the client has sent an append.
    asked: AtomicBool,
}

impl Connection {
    /// Returns true if the cut must be made before these bytes.
    fn is_at(&self, side: Cut, bytes: &[u8]) -> bool {
        let has = |message: &[u8]| bytes.windows(message.len()).any(|found| found == message);
        match side {
            Cut::Request => {
                let asks = has(APPEND);
                self.asked.fetch_or(asks, Ordering::Relaxed);
                asks
            }
            Cut::Answer => {
                let done = COMMITTED.into_iter().any(has);
                done && self.asked.swap(false, Ordering::Relaxed)
            }
        }
    }
}

pub struct Proxy {
    config: Config,
    /// The cut that is still to be made.
    next: Arc<watch::Sender<Option<Cut>>>,
}

impl Proxy {
    pub async fn to(database: &Config) -> Self {
        let [Host::Unix(directory)] = database.get_hosts() else {
            panic!("{database:?} is not on a Unix socket");
        };
        let socket = directory.join(format!(".s.PGSQL.{}", database.get_ports()[0]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(listener.local_addr().unwrap().port())
            .ssl_mode(SslMode::Disable)
            .user(database.get_user().unwrap())
            .dbname(database.get_dbname().unwrap());
        let next = Arc::new(watch::Sender::new(None));
        let proxy = Self {
            config,
            next: next.clone(),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                let next = next.clone();
                tokio::spawn(async move {
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    let connection = Connection::default();
                    // The half that ends first closes both connections.
                    tokio::select! {
                        _ = pass_on(from_client, to_server, Cut::Request, &connection, &next) => {}
                        _ = pass_on(from_server, to_client, Cut::Answer, &connection, &next) => {}
                    }
                });
            }
        });
        proxy
    }

    /// Returns the settings for the database through the proxy.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Makes a cut at the next append.
    pub fn cut(&self, cut: Cut) {
        self.next.send_replace(Some(cut));
    }

    /// Waits until the cut was made.
    pub async fn has_cut(&self) {
        self.next
            .subscribe()
            .wait_for(Option::is_none)
            .await
            .unwrap();
    }
}

async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    side: Cut,
    connection: &Connection,
    next: &watch::Sender<Option<Cut>>,
) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let bytes = &buffer[..length];
        if connection.is_at(side, bytes)
            && next.send_if_modified(|next| next.take_if(|next| *next == side).is_some())
        {
            return Ok(());
        }
        to.write_all(bytes).await?;
    }
}

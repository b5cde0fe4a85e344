//! Stands between a node and its database, and breaks the connection when it hurts.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// What a connection is broken in front of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The client's commit: the database never sees it.
    Request,
    /// The database's answer to a commit: the client never sees it.
    Answer,
}

impl Cut {
    /// The message as the protocol has it.
    const fn message(self) -> &'static [u8] {
        match self {
            Self::Request => b"Q\0\0\0\x0bcommit\0",
            Self::Answer => b"C\0\0\0\x0bCOMMIT\0",
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
                    // Whichever half ends first closes both connections.
                    tokio::select! {
                        _ = pass_on(from_client, to_server, Cut::Request, &next) => {}
                        _ = pass_on(from_server, to_client, Cut::Answer, &next) => {}
                    }
                });
            }
        });
        proxy
    }

    /// The database, through the proxy.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Makes a cut at the next commit.
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
    next: &watch::Sender<Option<Cut>>,
) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let message = side.message();
        let bytes = &buffer[..length];
        if bytes.windows(message.len()).any(|found| found == message)
            && next.send_if_modified(|next| next.take_if(|next| *next == side).is_some())
        {
            return Ok(());
        }
        to.write_all(bytes).await?;
    }
}

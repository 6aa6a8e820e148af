//! An operator that is told what to answer: HTTPS on a port of its own, a thread for each connection.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivateKeyDer};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A call that arrived.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub token: String,
    pub body: Value,
    /// Number of its connection, from 1.
    pub connection: usize,
}

/// What to answer.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Status, further headers, body.
    Say(u16, &'static str, String),
    /// Half of an answer, and the end of the connection.
    Cut,
}

impl Reply {
    /// Accepted, with beats every second.
    pub fn accept() -> Self {
        Self::Say(200, "", r#"{"workspace":"x","incarnation":3,"heartbeatSeconds":1}"#.to_owned())
    }

    pub fn status(status: u16) -> Self {
        Self::Say(status, "", String::new())
    }

    pub fn conflict(error: &str) -> Self {
        Self::Say(409, "", format!(r#"{{"error":"{error}"}}"#))
    }
}

type Script = Box<dyn FnMut(usize, &Call) -> Reply + Send>;

/// The operator, with the files that a workspace would find in its Pod.
pub struct Operator {
    address: SocketAddr,
    calls: Receiver<Call>,
    tls: Arc<Mutex<Arc<ServerConfig>>>,
    folder: TempDir,
}

impl Operator {
    /// Answers by `script`, which gets the number of each call from 0.
    pub fn start(script: impl FnMut(usize, &Call) -> Reply + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (config, ca) = certified();
        fs::write(folder.path().join("ca.crt"), ca).unwrap();
        fs::write(folder.path().join("token"), "first\n").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tls = Arc::new(Mutex::new(config));
        let (send, calls) = mpsc::channel();
        let script: Arc<Mutex<(usize, Script)>> = Arc::new(Mutex::new((0, Box::new(script))));
        let current = Arc::clone(&tls);
        let connections = AtomicUsize::new(0);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = connections.fetch_add(1, Ordering::SeqCst) + 1;
                let (send, script) = (send.clone(), Arc::clone(&script));
                let config = Arc::clone(&current.lock().unwrap());
                thread::spawn(move || {
                    let mut answer = |call: &Call| {
                        let (number, script) = &mut *script.lock().unwrap();
                        let reply = script(*number, call);
                        *number += 1;
                        let _ = send.send(call.clone());
                        reply
                    };
                    serve(stream.unwrap(), config, connection, &mut answer)
                });
            }
        });
        Self { address, calls, tls, folder }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// A folder for whatever else a test needs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The next call.
    pub fn call(&self) -> Call {
        self.calls.recv_timeout(LIMIT).expect("no further call came")
    }

    /// The next call that is like this.
    pub fn call_where(&self, is_wanted: impl Fn(&Call) -> bool) -> Call {
        std::iter::repeat_with(|| self.call()).find(is_wanted).unwrap()
    }

    /// How many calls came since the last one that was looked at.
    pub fn waiting_calls(&self) -> usize {
        self.calls.try_iter().count()
    }

    /// Serves new connections with a certificate of another CA, and returns that CA.
    pub fn rotate(&self) -> String {
        let (config, ca) = certified();
        *self.tls.lock().unwrap() = config;
        ca
    }
}

/// A certificate for 127.0.0.1, and the CA that signed it.
fn certified() -> (Arc<ServerConfig>, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = authority.self_signed(&key).unwrap().pem();
    let mut server = CertificateParams::default();
    server.subject_alt_names = vec![SanType::IpAddress("127.0.0.1".parse().unwrap())];
    let server_key = KeyPair::generate().unwrap();
    let certificate = server.signed_by(&server_key, &Issuer::new(authority, key)).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
        )
        .unwrap();
    (Arc::new(config), ca)
}

/// Answers until the other side, or a reply, ends the connection.
fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    connection: usize,
    answer: &mut impl FnMut(&Call) -> Reply,
) -> Option<()> {
    let tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let mut reader = BufReader::new(tls);
    loop {
        let call = read(&mut reader, connection)?;
        let text = match answer(&call) {
            Reply::Say(status, headers, body) => {
                let length = body.len();
                format!("HTTP/1.1 {status} Told\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
            }
            Reply::Cut => {
                reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{").ok()?;
                reader.get_mut().flush().ok()?;
                return None;
            }
        };
        reader.get_mut().write_all(text.as_bytes()).ok()?;
        reader.get_mut().flush().ok()?;
    }
}

fn read(reader: &mut impl BufRead, connection: usize) -> Option<Call> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let path = first.split(' ').nth(1)?.to_owned();
    let (mut token, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "authorization" => value.strip_prefix("Bearer ")?.clone_into(&mut token),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Call { path, token, body: serde_json::from_slice(&body).unwrap(), connection })
}

//! A PostgreSQL of the tests' own: in a folder that goes away, as another user than root, ended with the process of the tests,
//! however that ends.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_postgres::{NoTls, SimpleQueryMessage};

/// Who may come in how. Roles are named for what they need.
const ACCESS: &str = "
local all needs_password scram-sha-256
host all needs_password 127.0.0.0/8 scram-sha-256
hostnossl all only_tls 127.0.0.0/8 reject
hostssl all only_plain 127.0.0.0/8 reject
local all locked_out reject
local replication postgres trust
local all all trust
host all all 127.0.0.0/8 trust
";

const ROLES: &str = "
CREATE ROLE needs_password LOGIN SUPERUSER PASSWORD 'pa55-of-tests';
CREATE ROLE only_tls LOGIN SUPERUSER; CREATE ROLE only_plain LOGIN SUPERUSER; CREATE ROLE locked_out LOGIN;
CREATE ROLE reader LOGIN; CREATE ROLE maker_of_nothing LOGIN;
CREATE ROLE cautious LOGIN SUPERUSER; ALTER ROLE cautious SET default_transaction_read_only = on;
";
pub(crate) const PASSWORD: &str = "pa55-of-tests";

pub(crate) struct Server {
    folder: tempfile::TempDir,
    pub(crate) port: u16,
    /// While it is open, a shell waits; then it ends the server.
    _life: Option<(Child, ChildStdin)>,
}

/// The programs of the newest PostgreSQL that is installed.
fn programs() -> Option<PathBuf> {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin"));
    let number = |path: &PathBuf| path.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
    versions.filter(|bin| bin.join("initdb").exists()).max_by_key(number)
}

/// `program` as a user that PostgreSQL takes: it refuses root.
fn command(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let id = owner().to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(program);
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Nobody in particular.
fn owner() -> u32 {
    65_534
}

impl Server {
    /// The server that tests share. None where PostgreSQL is not installed, which is said.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        SHARED.get_or_init(Self::new).as_ref()
    }

    /// A server of its own, for tests that stop it.
    #[allow(clippy::print_stderr, reason = "a test that did not run has to say so")]
    pub(crate) fn new() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("skipped: PostgreSQL is not installed");
            return None;
        };
        let folder = new_folder();
        let data = folder.path().join("data");
        let made = command(&programs.join("initdb"))
            .args(["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data)
            .current_dir("/")
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        std::fs::write(data.join("pg_hba.conf"), ACCESS).unwrap();
        for name in ["server.pem", "server.key"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name);
            let to = data.join(name);
            std::fs::copy(from, &to).unwrap();
            std::fs::set_permissions(&to, PermissionsExt::from_mode(0o600)).unwrap();
            give(&to);
        }
        let mut server = Self { folder, port: free_port(), _life: None };
        server.start();
        server.sql("postgres", ROLES);
        Some(server)
    }

    /// A server that follows this one, and can only be read. What is there by now is there as well.
    pub(crate) fn replica(&self) -> Self {
        let folder = new_folder();
        let copied = command(&programs().unwrap().join("pg_basebackup"))
            .args(["-U", "postgres", "-R", "-c", "fast", "-X", "stream", "--no-sync", "-h"])
            .arg(self.folder())
            .args(["-p", &self.port.to_string(), "-D"])
            .arg(folder.path().join("data"))
            .current_dir("/")
            .output()
            .unwrap();
        assert!(copied.status.success(), "{copied:?}");
        let mut server = Self { folder, port: free_port(), _life: None };
        server.start();
        server
    }

    /// Starts it, also again.
    pub(crate) fn start(&mut self) {
        let programs = programs().unwrap();
        // Ended by the shell when the pipe from this process closes; immediately, as there is nothing to save.
        let script = "\"$@\" >\"$LOG\" 2>&1 & pid=$!; read -r how; kill -QUIT $pid; wait $pid; [ \"$how\" = stop ] || rm -rf \"$FOLDER\"";
        let folder = self.folder.path();
        let mut child = command(Path::new("/bin/sh"))
            .args(["-c", script, "sh"])
            .arg(programs.join("postgres"))
            .arg("-D")
            .arg(folder.join("data"))
            .args(["-k".as_ref(), folder.as_os_str(), "-p".as_ref(), self.port.to_string().as_ref()])
            .args([
                "-c",
                "listen_addresses=127.0.0.1,127.0.0.2",
                "-c",
                "fsync=off",
                "-c",
                "max_connections=200",
            ])
            .args(["-c", "ssl=on", "-c", "ssl_cert_file=server.pem", "-c", "ssl_key_file=server.key"])
            .args(["-c", "password_encryption=scram-sha-256"])
            .env("LOG", folder.join("data/log"))
            .env("FOLDER", folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pipe = child.stdin.take().unwrap();
        self._life = Some((child, pipe));
        let mut tries = 0;
        while self.try_sql("postgres", "SELECT 1").is_err() {
            tries += 1;
            let log = || std::fs::read_to_string(folder.join("data/log")).unwrap_or_default();
            assert!(tries < 600, "the server does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it at once, as a crash of its machine would.
    pub(crate) fn stop(&mut self) {
        let (mut child, mut pipe) = self._life.take().unwrap();
        pipe.write_all(b"stop\n").unwrap();
        drop(pipe);
        child.wait().unwrap();
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A database that nobody else has.
    pub(crate) fn database(&self) -> Database<'_> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("d{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        Database { server: self, name }
    }

    /// One that was made before.
    pub(crate) fn named(&self, name: &str) -> Database<'_> {
        Database { server: self, name: name.to_owned() }
    }

    /// What statements bring, a line a row; the server is asked over its socket.
    pub(crate) fn sql(&self, database: &str, statements: &str) -> Vec<String> {
        self.try_sql(database, statements).unwrap_or_else(|error| panic!("{error:?}: {statements}"))
    }

    fn try_sql(&self, database: &str, statements: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.folder()).port(self.port).user("postgres").dbname(database);
        // Tests may run in a runtime, with a clock that stands still.
        let asking = async {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            client.simple_query(statements).await
        };
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let messages =
            std::thread::scope(|scope| scope.spawn(|| runtime().block_on(asking)).join().unwrap())?;
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => {
                let texts: Vec<_> =
                    (0..row.len()).map(|column| row.get(column).unwrap_or("NULL").to_owned()).collect();
                Some(texts.join("|"))
            }
            _ => None,
        };
        Ok(messages.into_iter().filter_map(row).collect())
    }
}

/// With a short name, as sockets are in it.
fn new_folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    give(folder.path());
    folder
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn give(path: &Path) {
    if is_root() {
        chown(path, Some(owner()), Some(owner())).unwrap();
    }
}

pub(crate) struct Database<'a> {
    pub(crate) server: &'a Server,
    pub(crate) name: String,
}

impl Database<'_> {
    /// Its URL over the socket.
    pub(crate) fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The same for another user.
    pub(crate) fn url_of(&self, login: &str) -> String {
        let folder = self.server.folder().to_str().unwrap().replace('/', "%2F");
        format!("postgres://{login}@{folder}:{}/{}", self.server.port, self.name)
    }

    /// Its URL over TCP.
    pub(crate) fn tcp_url(&self, login: &str, query: &str) -> String {
        format!("postgres://{login}@127.0.0.1:{}/{}{query}", self.server.port, self.name)
    }

    pub(crate) fn sql(&self, statements: &str) -> Vec<String> {
        self.server.sql(&self.name, statements)
    }

    /// The facts of all runs, in order.
    pub(crate) fn facts(&self) -> Vec<String> {
        self.sql("SELECT run, number, body FROM vod_refresh_fact ORDER BY run, number")
    }

    /// A line for the binary, with this journal.
    pub(crate) fn line(&self, line: &str) -> Vec<String> {
        let mut line: Vec<String> = line.split(' ').map(str::to_owned).collect();
        line.extend(["--journal".to_owned(), self.url()]);
        line
    }
}

//! One connection: which of the servers, encrypted or not, and what the session is told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::ExposeSecret as _;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use super::address::{Address, SessionWanted, SslMode, Target};
use super::failure::{is_handshake, pooled, read_only, unusable, why};
use super::tls::Tls;
use crate::error::Result;
use crate::net::tls::{client_config, client_config_with};

/// The oldest server that will do.
const OLDEST: u32 = 13;
/// A server ends a session that says nothing for so long: its driver is stopped or cut off, and others may carry on.
const IDLE_TIMEOUT: &str = "20s";
/// What a session is told. No statement and no wait for a lock is endless; a network that swallows packets is noticed.
const SETTINGS: &str = "SET client_min_messages = error; SET statement_timeout = '60s'; SET lock_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = '20s'; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; \
    SET tcp_keepalives_count = 3; SET tcp_user_timeout = '20s';";

/// A session with a server.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) target: Target,
    /// The server's process for it.
    pub(super) backend: i32,
    pub(super) is_read_only: bool,
    pub(super) is_replica: bool,
    /// Nothing more is expected of it.
    pub(super) has_ended: AtomicBool,
}

impl Link {
    pub(super) fn is_alive(&self) -> bool {
        !self.client.is_closed() && !self.has_ended.load(Ordering::SeqCst)
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("target", &self.target)
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

/// Connects to the first of the servers that will do; `name` is how the session shows in `pg_stat_activity`.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config), with what each server answered.
pub(super) async fn connect(address: &Address, name: &str) -> Result<Link> {
    let tls = Tls(tls_config(address)?);
    let mut refused = Vec::new();
    let mut second_choice = None;
    for target in &address.targets {
        match timeout(address.connect_timeout, session(address, target, &tls, name)).await {
            Ok(Ok(link)) if fits(&link, address.session) => return Ok(link),
            Ok(Ok(link)) if address.session == SessionWanted::PreferStandby => {
                second_choice.get_or_insert(link);
            }
            Ok(Ok(link)) if link.is_read_only => refused.push(read_only(address, target, link.is_replica)),
            Ok(Ok(_)) => refused
                .push(format!("{target} is not the kind of server that `target_session_attrs` asks for")),
            Ok(Err(Refusal { text, is_final })) => {
                refused.push(text);
                // Whoever is not let in here is not let in there: libpq tries no other server either.
                if is_final {
                    break;
                }
            }
            Err(_) => {
                let seconds = address.connect_timeout.as_secs();
                refused.push(format!(
                    "{target} can't be reached: no answer within {seconds} s (`connect_timeout`)"
                ));
            }
        }
    }
    second_choice.ok_or_else(|| unusable(address, &refused.join("; ")))
}

fn fits(link: &Link, wanted: SessionWanted) -> bool {
    match wanted {
        SessionWanted::Any => true,
        SessionWanted::ReadWrite => !link.is_read_only,
        SessionWanted::ReadOnly => link.is_read_only,
        SessionWanted::Primary => !link.is_replica,
        SessionWanted::Standby | SessionWanted::PreferStandby => link.is_replica,
    }
}

struct Refusal {
    text: String,
    /// The server is there, and says no.
    is_final: bool,
}

async fn session(address: &Address, target: &Target, tls: &Tls, name: &str) -> Result<Link, Refusal> {
    use tokio_postgres::config::SslMode as Mode;
    let mut config = Config::new();
    config.host(&target.host).port(target.port).user(&address.user).dbname(&address.database);
    config.application_name(name).channel_binding(address.channel_binding);
    config.keepalives_idle(Duration::from_secs(5)).keepalives_interval(Duration::from_secs(5));
    config.keepalives_retries(3).tcp_user_timeout(Duration::from_secs(20));
    if let Some(options) = &address.options {
        config.options(options);
    }
    if let Some(password) = address.password_for(target) {
        config.password(password.expose_secret());
    }
    let modes: &[Mode] = match address.ssl_mode {
        _ if target.is_socket() => &[Mode::Disable],
        SslMode::Disable => &[Mode::Disable],
        SslMode::Allow => &[Mode::Disable, Mode::Require],
        SslMode::Prefer => &[Mode::Prefer, Mode::Disable],
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Mode::Require],
    };
    let mut first = None;
    for mode in modes {
        match config.ssl_mode(*mode).connect(tls.clone()).await {
            Ok((client, connection)) => {
                let version = connection.parameter("server_version").unwrap_or_default().to_owned();
                let task = tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "the connection to the journal's database ended");
                    }
                });
                let link = told(client, &version, address, target).await;
                return link.inspect_err(|_| task.abort());
            }
            Err(error) => {
                let refusal = error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
                let may_go_on = is_handshake(&error) || refusal;
                first.get_or_insert(error);
                if !may_go_on {
                    break;
                }
            }
        }
    }
    let Some(error) = first else { return Err(Refusal { text: String::new(), is_final: false }) };
    let passing = [&SqlState::CANNOT_CONNECT_NOW, &SqlState::TOO_MANY_CONNECTIONS, &SqlState::ADMIN_SHUTDOWN];
    let is_final = error.code().is_some_and(|code| !passing.contains(&code));
    Err(Refusal { text: why(address, target, &error), is_final })
}

/// Tells a new session how to behave, and asks what it is.
async fn told(client: Client, version: &str, address: &Address, target: &Target) -> Result<Link, Refusal> {
    let major =
        version.split('.').next().and_then(|major| major.trim_end_matches(char::is_alphabetic).parse().ok());
    if major.is_none_or(|major: u32| major < OLDEST) {
        let text = format!("{target} is PostgreSQL {version}: {OLDEST} or newer is needed");
        return Err(Refusal { text, is_final: true });
    }
    let mut settings = SETTINGS.to_owned();
    if major.is_some_and(|major| major >= 14) {
        settings += &format!(" SET idle_session_timeout = '{IDLE_TIMEOUT}';");
    }
    let ask = "SELECT pg_backend_pid(), current_setting('transaction_read_only') = 'on', pg_is_in_recovery()";
    // In a transaction of its own: with a session of ours, the server's process for it is the same as in the next one.
    settings += " SELECT pg_backend_pid();";
    let asked = async {
        let told = client.simple_query(&settings).await?;
        let first = told.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok((first, client.query_typed_one(ask, &[]).await?))
    };
    match asked.await {
        Ok((first, row)) => {
            let (backend, is_read_only, is_replica): (i32, _, _) = (row.get(0), row.get(1), row.get(2));
            if first != Some(backend.to_string()) {
                return Err(Refusal { text: pooled(target), is_final: true });
            }
            let has_ended = AtomicBool::new(false);
            Ok(Link { client, target: target.clone(), backend, is_read_only, is_replica, has_ended })
        }
        Err(error) => Err(Refusal { text: why(address, target, &error), is_final: false }),
    }
}

/// Whom the connection trusts, by `sslmode` and `sslrootcert`.
fn tls_config(address: &Address) -> Result<std::sync::Arc<rustls::ClientConfig>> {
    let checks_name = address.ssl_mode == SslMode::VerifyFull;
    if address.ssl_mode < SslMode::VerifyCa {
        return client_config_with(None, false).map_err(|text| unusable(address, &text));
    }
    let Some(file) = &address.root_certificate else {
        // Where libpq wants a file, the authorities of this machine count. They sign for anybody, so the name is checked.
        return client_config(&[]).map_err(|text| unusable(address, &text));
    };
    let failed = |why: String| unusable(address, &format!("`sslrootcert` {}: {why}", file.display()));
    let pem = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    let roots: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| failed(format!("{error:?}")))?;
    if roots.is_empty() {
        return Err(failed("the file holds no PEM certificate".to_owned()));
    }
    client_config_with(Some(roots), checks_name).map_err(failed)
}

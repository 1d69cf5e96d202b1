//! `postgres://USER@HOST/DB` as libpq reads it, and the password, which is shown nowhere.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_postgres::config::ChannelBinding;

use super::pgpass;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::columns::unquoted;

/// Whether the connection is encrypted, and whom it trusts; the names are libpq's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// One server to try.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    /// A name, an IP address, or the folder of a Unix socket, which begins with `/`.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Target {
    pub(super) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.as_str() {
            host if self.is_socket() => write!(f, "{host}/.s.PGSQL.{}", self.port),
            host if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

/// Where a database is and how to get in.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) targets: Vec<Target>,
    pub(super) user: String,
    pub(super) database: String,
    /// Of the URL, or of `PGPASSWORD`.
    password: Option<SecretString>,
    passfile: Option<PathBuf>,
    pub(super) ssl_mode: SslMode,
    /// PEM file of the authorities that are trusted; none means those of the machine.
    pub(super) root_certificate: Option<PathBuf>,
    pub(super) session: SessionWanted,
    pub(super) channel_binding: ChannelBinding,
    pub(super) connect_timeout: Duration,
    pub(super) options: Option<String>,
    /// The URL without a password.
    pub(super) place: String,
    /// Whether the URL had one.
    pub(super) hides_password: bool,
}

/// `target_session_attrs`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SessionWanted {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// A server that does not answer at all is given up after this, and the next one is tried. libpq would wait for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The parameters that count.
const PARAMETERS: &str = "host port user dbname password passfile sslmode sslrootcert options connect_timeout channel_binding \
    target_session_attrs";
/// These change nothing here: sessions have a name and keepalives of their own, and no Kerberos.
const IGNORED: &str = "application_name fallback_application_name client_encoding gssencmode keepalives keepalives_idle \
    keepalives_interval keepalives_count tcp_user_timeout";
/// To ignore these would be wrong.
const REFUSED: &str =
    "sslcert sslkey sslpassword sslcrl hostaddr service load_balance_hosts sslnegotiation require_auth";

/// What a URL says, and what variables say where it says nothing.
struct Given<'a> {
    url: HashMap<&'a str, String>,
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Given<'_> {
    fn get(&self, parameter: &str, variable: &str) -> Option<String> {
        let of_url = self.url.get(parameter).filter(|text| !text.is_empty()).cloned();
        of_url.or_else(|| (self.variable)(variable)).filter(|text| !text.is_empty())
    }
}

impl Address {
    /// Reads a URL. Where it leaves out host, port, user, database, password, options or what is about TLS, the variables of libpq count
    /// (`PGHOST`, `PGPORT`, …), with one host and one port; else libpq's defaults.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`]. No part of the URL that could be one of the password is shown.
    pub(super) fn parse(url: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let rest = url.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority.split_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let mut given = Given { url: HashMap::new(), variable };
        for (key, text) in [("user", user), ("password", password), ("dbname", path)] {
            given.url.insert(key, decoded(text)?);
        }
        let mut shown_query = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, text) = pair.split_once('=').ok_or_else(unreadable)?;
            let is_one_of = |names: &str| names.split(' ').any(|name| name == key);
            match decoded(text)? {
                text if is_one_of(PARAMETERS) => drop(given.url.insert(key, text)),
                _ if is_one_of(REFUSED) => {
                    return Err(wrong(&format!("the parameter `{key}` is not known here")));
                }
                _ if is_one_of(IGNORED) => {}
                _ => return Err(unreadable()),
            }
            if key != "password" {
                shown_query.push(pair);
            }
        }
        let account = || variable("USER").or_else(|| variable("LOGNAME")).or_else(|| variable("USERNAME"));
        let account = given.get("user", "PGUSER").or_else(account);
        let account = account
            .ok_or_else(|| wrong("no user is given: write `postgres://USER@HOST/DB`, or set PGUSER"))?;
        let home = || variable("HOME").map(PathBuf::from);
        let usual_passfile = || {
            let roaming = variable("APPDATA").map(PathBuf::from).filter(|_| cfg!(windows));
            roaming
                .map(|folder| folder.join("postgresql/pgpass.conf"))
                .or_else(|| Some(home()?.join(".pgpass")))
        };
        let mut ssl_mode = match given.get("sslmode", "PGSSLMODE") {
            Some(mode) => {
                one_of("sslmode", &mode, "disable, allow, prefer, require, verify-ca or verify-full")?
            }
            None => SslMode::Prefer,
        };
        let mut root_certificate = given.get("sslrootcert", "PGSSLROOTCERT").map(PathBuf::from);
        if root_certificate.as_deref() == Some(Path::new("system")) {
            if ssl_mode < SslMode::VerifyFull && given.url.contains_key("sslmode") {
                return Err(wrong("`sslrootcert=system` needs `sslmode=verify-full`"));
            }
            (root_certificate, ssl_mode) = (None, SslMode::VerifyFull);
        } else if root_certificate.is_none() {
            let usual = home().map(|home| home.join(".postgresql/root.crt"));
            root_certificate = usual.filter(|path| path.exists());
        }
        // As libpq has it: whoever names an authority wants the certificate to be checked.
        if ssl_mode == SslMode::Require && root_certificate.is_some() {
            ssl_mode = SslMode::VerifyCa;
        }
        let session = match given.url.get("target_session_attrs") {
            Some(wanted) => one_of(
                "target_session_attrs",
                wanted,
                "any, read-write, read-only, primary, standby or prefer-standby",
            )?,
            None => SessionWanted::Any,
        };
        let channel_binding = match given.url.get("channel_binding").map(String::as_str) {
            Some("disable") => ChannelBinding::Disable,
            Some("require") => ChannelBinding::Require,
            Some("prefer") | None => ChannelBinding::Prefer,
            Some(_) => return Err(wrong("`channel_binding` is disable, prefer or require")),
        };
        // Of 0, libpq would wait for ever; each wait of ours ends.
        let connect_timeout = match given.url.get("connect_timeout").map(|text| text.parse()) {
            Some(Ok(0)) | None => CONNECT_TIMEOUT,
            Some(Ok(seconds)) => Duration::from_secs(seconds),
            Some(Err(_)) => return Err(wrong("`connect_timeout` is a number of seconds")),
        };
        // What was typed is shown as it was typed, but for the password.
        let at = if user.is_empty() { "" } else { "@" };
        let slash = if rest.contains('/') { "/" } else { "" };
        let mark = if shown_query.is_empty() { "" } else { "?" };
        Ok(Self {
            targets: targets(hosts, &given)?,
            database: given.get("dbname", "PGDATABASE").unwrap_or_else(|| account.clone()),
            user: account,
            password: given.get("password", "PGPASSWORD").map(SecretString::from),
            passfile: given.get("passfile", "PGPASSFILE").map(PathBuf::from).or_else(usual_passfile),
            ssl_mode,
            root_certificate,
            session,
            channel_binding,
            connect_timeout,
            options: given.get("options", "PGOPTIONS"),
            place: format!("postgres://{user}{at}{hosts}{slash}{path}{mark}{}", shown_query.join("&")),
            hides_password: given.url.get("password").is_some_and(|text| !text.is_empty()),
        })
    }

    /// The password for one of the servers: that of the URL or of `PGPASSWORD`, else the first line of `~/.pgpass` that fits.
    pub(super) fn password_for(&self, target: &Target) -> Option<SecretString> {
        let from_file = || {
            let host = if target.is_socket() && pgpass::USUAL_FOLDERS.contains(&target.host.as_str()) {
                "localhost"
            } else {
                &target.host
            };
            pgpass::look_up(self.passfile.as_deref()?, host, target.port, &self.database, &self.user)
        };
        self.password.clone().or_else(from_file)
    }

    /// Ends a sentence about a password that is missing.
    pub(super) fn why_no_password(&self) -> String {
        match &self.passfile {
            Some(file) if pgpass::is_ignored(file) => {
                format!(" ({} is ignored: group or others may read it; `chmod 600` it)", file.display())
            }
            _ => String::new(),
        }
    }
}

/// The servers of a URL: those of the parameter `host` go before those of the authority.
fn targets(authority: &str, given: &Given<'_>) -> Result<Vec<Target>> {
    let mut pairs: Vec<(String, &str)> = Vec::new();
    for host in authority.split(',') {
        let (name, port) = match host.strip_prefix('[') {
            Some(inner) => inner.split_once(']').ok_or_else(unreadable)?,
            None => host.split_at(host.find(':').unwrap_or(host.len())),
        };
        pairs.push((decoded(name)?, port.trim_start_matches(':')));
    }
    if let Some(hosts) = given.url.get("host") {
        pairs = hosts.split(',').map(|host| (host.to_owned(), "")).collect();
    }
    let default_port = (given.variable)("PGPORT").unwrap_or_else(|| "5432".to_owned());
    let ports: Vec<&str> = given.url.get("port").map(|ports| ports.split(',').collect()).unwrap_or_default();
    let default_host = || {
        let folder = pgpass::USUAL_FOLDERS.iter().find(|folder| cfg!(unix) && Path::new(folder).is_dir());
        (given.variable)("PGHOST").unwrap_or_else(|| folder.unwrap_or(&"localhost").to_string())
    };
    let target = |(place, (host, port)): (usize, (String, &str))| {
        let of_list = ports.get(place).or(ports.first()).copied().unwrap_or_default();
        let port = [of_list, port, &default_port].into_iter().find(|port| !port.is_empty());
        let host = if host.is_empty() { default_host() } else { host };
        // What is no name may be the end of a password with an `@` in it.
        let is_name = |c: char| c.is_alphanumeric() || "-._:%".contains(c);
        if !host.starts_with('/') && !host.chars().all(is_name) {
            return Err(unreadable());
        }
        Ok(Target { host, port: port.and_then(|port| port.parse().ok()).ok_or_else(unreadable)? })
    };
    pairs.into_iter().enumerate().map(target).collect()
}

fn one_of<T: DeserializeOwned>(parameter: &str, word: &str, words: &str) -> Result<T> {
    unquoted(word).map_err(|_| wrong(&format!("`{parameter}` is {words}")))
}

fn decoded(text: &str) -> Result<String> {
    Ok(percent_decode_str(text).decode_utf8().map_err(|_| unreadable())?.into_owned())
}

/// Nothing of the address is shown: where it can't be read, any part may be one of a password.
fn unreadable() -> Error {
    wrong(
        "the address can't be read: write it as `postgres://USER@HOST:PORT/DB`, with %40 for `@`, %3A for `:`, %2F for `/` and %3F \
         for `?` in its parts; a password is better given in PGPASSWORD",
    )
}

fn wrong(why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("the journal in PostgreSQL can't be used: {why}"))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn parsed(url: &str, variables: &[(&str, &str)]) -> Result<Address> {
        let all: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let look =
            move |name: &str| all.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone());
        Address::parse(url, &look)
    }

    fn outline(url: &str) -> String {
        let address = parsed(url, &[("USER", "me")]).unwrap();
        let targets: Vec<_> = address.targets.iter().map(ToString::to_string).collect();
        format!("{} {} {} {:?}", address.user, targets.join(","), address.database, address.ssl_mode)
    }

    #[test]
    fn urls_mean_what_libpq_takes_them_for() {
        for (url, means) in [
            ("postgres://u@h/d", "u h:5432 d Prefer"),
            ("postgresql://u@h", "u h:5432 u Prefer"),
            ("postgres://h/d", "me h:5432 d Prefer"),
            ("postgres://u:p@h:99/d?sslmode=verify-full", "u h:99 d VerifyFull"),
            ("postgres://u@[::1]:99/d?sslmode=allow", "u [::1]:99 d Allow"),
            ("postgres://a%40b@h/d%20e", "a@b h:5432 d e Prefer"),
            ("postgres://u@%2Frun%2Fpg/d", "u /run/pg/.s.PGSQL.5432 d Prefer"),
            ("postgres:///d?host=/run/pg&port=7", "me /run/pg/.s.PGSQL.7 d Prefer"),
            ("postgres://u@a:1,b,c:3/d?target_session_attrs=read-write", "u a:1,b:5432,c:3 d Prefer"),
            ("postgres://?host=h&user=u&dbname=d&sslmode=require", "u h:5432 d Require"),
            ("postgres://u@h/d?sslmode=require&sslrootcert=/ca.pem", "u h:5432 d VerifyCa"),
            ("postgres://u@h/d?sslrootcert=system", "u h:5432 d VerifyFull"),
        ] {
            assert_eq!(outline(url), means, "{url}");
        }
    }

    #[test]
    fn the_place_is_the_url_without_its_password() {
        for (url, place) in [
            ("postgres://u:secret@h/d", "postgres://u@h/d"),
            ("postgresql://u@h/d?password=secret&sslmode=require", "postgres://u@h/d?sslmode=require"),
            ("postgres://u:@h/d", "postgres://u@h/d"),
            ("postgres:///d?host=/run/pg", "postgres:///d?host=/run/pg"),
            ("postgres://h", "postgres://h"),
        ] {
            let address = parsed(url, &[("USER", "me")]).unwrap();
            assert_eq!((address.place.as_str(), address.hides_password), (place, url.contains("secret")));
            assert!(!format!("{address:?}").contains("secret"), "{address:?}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_shows_nothing_of_itself() {
        for url in [
            "postgres://u:s3cr@et@h/d",
            "postgres://u:s3c/ret@h/d",
            "postgres://u:s3c?ret@h/d",
            "postgres://u:s3c#ret@h:x/d",
            "postgres://u:s3cret@h/d?s3c",
            "postgres://u:s3cret@h/d?s3c=ret",
            "postgres://u:%FFs3c@h/d",
            "postgres://u:s3cret@h/d?sslmode=s3c",
            "postgres://u:s3cret@h/d?sslcert=s3c",
            "postgres://u@h/d?connect_timeout=s3c",
        ] {
            let error = parsed(url, &[]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error} {error:?}").contains("s3c"), "{error}");
        }
    }

    #[test]
    fn a_password_comes_from_the_url_then_the_variable_then_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".pgpass");
        std::fs::write(&file, "h:5432:d:u:of-file\n").unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let home = folder.path().to_str().unwrap();
        let password = |url: &str, variables: &[(&str, &str)]| {
            let address = parsed(url, variables).unwrap();
            address.password_for(&address.targets[0]).map(|secret| secret.expose_secret().to_owned())
        };
        let both = [("HOME", home), ("PGPASSWORD", "of-variable")];
        assert_eq!(password("postgres://u:of-url@h/d", &both).as_deref(), Some("of-url"));
        assert_eq!(password("postgres://u@h/d", &both).as_deref(), Some("of-variable"));
        assert_eq!(password("postgres://u@h/d", &both[..1]).as_deref(), Some("of-file"));
        assert_eq!(password("postgres://u@h/other", &both[..1]), None);
        let elsewhere = [("HOME", "/nowhere"), ("PGPASSFILE", file.to_str().unwrap())];
        assert_eq!(password("postgres://u@h/d", &elsewhere).as_deref(), Some("of-file"));
    }
}

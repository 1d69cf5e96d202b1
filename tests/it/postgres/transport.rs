//! `sslmode` and the others, as libpq has them, against a server with TLS.

use std::path::Path;

use super::server::{PASSWORD, Server};
use crate::support::program::{Ended, Home};

fn runs(url: &str) -> Ended {
    Home::new().run(&["runs", "--journal", url])
}

fn certificate(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name).display().to_string()
}

#[test]
fn sslmode_decides_which_connections_are_encrypted() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    for (mode, tls, plain) in
        [("disable", false, true), ("allow", true, true), ("prefer", true, true), ("require", true, false)]
    {
        for (user, comes_in) in [("only_tls", tls), ("only_plain", plain)] {
            let ended = runs(&database.tcp_url(user, &format!("?sslmode={mode}")));
            assert_eq!(ended.code, Some(if comes_in { 0 } else { 3 }), "{mode} {user}: {ended:?}");
            assert!(comes_in || ended.stderr.contains("see its pg_hba.conf"), "{}", ended.stderr);
        }
    }
    assert_eq!(runs(&database.tcp_url("only_tls", "")).code, Some(0), "prefer is the default");
}

#[test]
fn certificates_are_checked_as_sslmode_says() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let (ca, other) = (certificate("ca.pem"), certificate("self-signed.pem"));
    let by_name = |url: String| url.replace("127.0.0.1", "127.0.0.2");
    let url =
        |mode: &str, ca: &str| database.tcp_url("postgres", &format!("?sslmode={mode}&sslrootcert={ca}"));
    for (url, why) in [
        (url("verify-full", &ca), None),
        (url("verify-ca", &ca), None),
        (url("require", &ca), None),
        (by_name(url("verify-ca", &ca)), None),
        (by_name(url("verify-full", &ca)), Some("certificate not valid for name")),
        (url("verify-ca", &other), Some("UnknownIssuer")),
        // As libpq has it, an authority that is named is asked.
        (url("require", &other), Some("UnknownIssuer")),
        (database.tcp_url("postgres", "?sslmode=verify-full"), Some("UnknownIssuer")),
        (url("verify-ca", "/no/such.pem"), Some("`sslrootcert` /no/such.pem")),
    ] {
        let ended = runs(&url);
        assert_eq!(ended.code, Some(if why.is_none() { 0 } else { 3 }), "{url}: {ended:?}");
        assert!(why.is_none_or(|why| ended.stderr.contains(why)), "{url}: {}", ended.stderr);
    }
    // The machine's own store may have it.
    let home = Home::new();
    let mut trusting =
        home.command(&["runs", "--journal", &database.tcp_url("postgres", "?sslmode=verify-full")]);
    let ended = Ended::from(trusting.env("SSL_CERT_FILE", &ca).output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn the_password_is_bound_to_the_connection() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    for (query, why) in [
        ("?sslmode=require&channel_binding=require", None),
        ("?sslmode=disable&channel_binding=require", Some("offers no channel binding")),
        ("?sslmode=disable", None),
    ] {
        let home = Home::new();
        let mut command = home.command(&["runs", "--journal", &database.tcp_url("needs_password", query)]);
        let ended = Ended::from(command.env("PGPASSWORD", PASSWORD).output().unwrap());
        assert_eq!(ended.code, Some(if why.is_none() { 0 } else { 3 }), "{query}: {ended:?}");
        assert!(why.is_none_or(|why| ended.stderr.contains(why)), "{query}: {}", ended.stderr);
    }
}

#[test]
fn of_several_servers_the_first_that_fits_is_taken() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let (port, name) = (server.port, &database.name);
    // Port 1 has no server.
    let hosts = format!("postgres://postgres@127.0.0.1:1,127.0.0.1:{port}/{name}");
    let folder = server.folder().display();
    for (url, code) in [
        (hosts.clone(), 0),
        (format!("{hosts}?target_session_attrs=read-write"), 0),
        (format!("{hosts}?target_session_attrs=primary"), 0),
        (format!("{hosts}?target_session_attrs=prefer-standby"), 0),
        (format!("{hosts}?target_session_attrs=standby"), 3),
        (format!("{hosts}?target_session_attrs=read-only"), 3),
        (format!("postgres:///{name}?host={folder}&port={port}&user=postgres"), 0),
        (format!("postgresql://?host=127.0.0.1&port={port}&user=postgres&dbname={name}"), 0),
    ] {
        let ended = runs(&url);
        assert_eq!(ended.code, Some(code), "{url}: {ended:?}");
    }
    let both = runs("postgres://u@127.0.0.1:1,127.0.0.1:2/d");
    assert_eq!(both.code, Some(3));
    assert!(both.stderr.contains("127.0.0.1:1 can't be reached: Connection refused"), "{}", both.stderr);
    assert!(both.stderr.contains("127.0.0.1:2 can't be reached: Connection refused"), "{}", both.stderr);
}

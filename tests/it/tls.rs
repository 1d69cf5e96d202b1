//! HTTPS with a CA that the machine does not know.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::program::at_home;
use crate::support::raw_server::{RawServer, Then};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

pub(crate) fn acceptor(name: &str) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(fixture(&format!("{name}.pem"))).unwrap();
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(fixture(&format!("{name}.key"))).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A service with the certificate `name` that knows one answer; gives back its endpoint.
fn serve(runtime: &tokio::runtime::Runtime, name: &'static str) -> String {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    runtime.spawn(async move {
        let acceptor = acceptor(name);
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4_096]).await;
            let body = r#"{"UrlQuota":"2000","UrlRemain":"1999","RequestId":"R"}"#;
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    endpoint
}

fn quota(endpoint: &str, ca_file: Option<&Path>, variable: Option<&Path>) -> (i32, String) {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vod-refresh"));
    at_home(&mut command, home.path()).args(["quota", "--endpoint", endpoint]);
    command.env("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid").env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret");
    if let Some(path) = ca_file {
        command.arg("--ca-file").arg(path);
    }
    if let Some(path) = variable {
        command.env("SSL_CERT_FILE", path);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.code().unwrap(), text)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn an_unknown_ca_fails_fast_and_a_ca_file_makes_it_trusted() {
    let runtime = runtime();
    let endpoint = serve(&runtime, "server");
    let started = tokio::time::Instant::now();
    let (code, text) = quota(&endpoint, None, None);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("the TLS certificate of 127.0.0.1:") && text.contains("is not trusted"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(5), "no retries");
    let ca = fixture("ca.pem");
    for (option, variable) in [(Some(&*ca), None), (None, Some(&*ca))] {
        let (code, text) = quota(&endpoint, option, variable);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("1999 of 2000"), "{text}");
    }
}

#[test]
fn a_ca_file_without_a_certificate_is_named() {
    let (code, text) = quota("https://127.0.0.1:1", Some(&fixture("README.md")), None);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("fixtures/tls/README.md") && text.contains("no PEM certificate"), "{text}");
}

#[test]
fn h28_a_servers_own_self_signed_certificate_is_trusted_where_exactly_it_is_given() {
    let runtime = runtime();
    let endpoint = serve(&runtime, "self-signed");
    let own = fixture("self-signed.pem");
    for (option, variable) in [(Some(&*own), None), (None, Some(&*own))] {
        let (code, text) = quota(&endpoint, option, variable);
        assert_eq!(code, 0, "{text}");
    }
    // Its name is checked as ever.
    let elsewhere = endpoint.replace("127.0.0.1", "localhost");
    let (code, text) = quota(&elsewhere, Some(&own), None);
    assert!(code == 3 && text.contains("is not trusted"), "{text}");
    let (code, text) = quota(&endpoint, Some(&fixture("ca.pem")), None);
    assert!(code == 3 && text.contains("is not trusted"), "{text}");
}

#[test]
fn h29_a_missing_file_of_certificates_matters_where_tls_is_spoken_only() {
    let missing = Path::new("/nonexistent/ca.pem");
    let plain = RawServer::start([Then::json(r#"{"UrlQuota":"2000","UrlRemain":"1999","RequestId":"R"}"#)]);
    let (code, text) = quota(&plain.url(), None, Some(missing));
    assert_eq!(code, 0, "{text}");
    let runtime = runtime();
    let (code, text) = quota(&serve(&runtime, "server"), None, Some(missing));
    assert!(code == 3 && text.contains("/nonexistent/ca.pem") && text.contains("SSL_CERT_FILE"), "{text}");
}

//! Whom a client trusts: the machine's certificate authorities, those that were given, and a server whose own certificate was
//! given.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Makes the settings of TLS clients. `given` counts beside the certificates of the machine, or of `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` where they are set. The cryptography is ring's, unless the program has installed another provider.
///
/// # Errors
///
/// A text for people, if no certificate can be read at all.
pub(super) fn client_config(given: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, String> {
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let mut roots = RootCertStore::empty();
    let machine = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(machine.certs.iter().chain(given).cloned());
    if roots.is_empty() {
        let why = machine.errors.first().map(|why| format!(": {why}")).unwrap_or_default();
        return Err(format!(
            "no certificate authorities can be read{why}; see `SSL_CERT_FILE`, or give a `--ca-file`"
        ));
    }
    let text = |error: &dyn std::fmt::Display| format!("TLS can't be set up: {error}");
    let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let webpki = webpki.build().map_err(|error| text(&error))?;
    // The file of `SSL_CERT_FILE` may hold the server's own certificate, too.
    let own = machine.certs.into_iter().chain(given.iter().cloned()).collect();
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| text(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { webpki, own }))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The usual verifier, which also takes a server's own self-signed certificate where exactly that one is trusted, as other
/// TLS libraries do. Name and validity are checked for it as well.
#[derive(Debug)]
struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.webpki.verify_server_cert(certificate, intermediates, name, ocsp, now);
        // "Other" stands for the one fault that such a certificate has: an authority's certificate serves as a server's.
        // It is looked for after the validity.
        if let Err(Error::InvalidCertificate(CertificateError::Other(_))) = &verdict
            && self.own.contains(&certificate.clone().into_owned())
        {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

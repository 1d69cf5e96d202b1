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
pub(crate) fn client_config(given: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, String> {
    let machine = rustls_native_certs::load_native_certs();
    if machine.certs.is_empty() && given.is_empty() {
        let why = machine.errors.first().map(|why| format!(": {why}")).unwrap_or_default();
        return Err(format!(
            "no certificate authorities can be read{why}; see `SSL_CERT_FILE`, or give a `--ca-file`"
        ));
    }
    // The file of `SSL_CERT_FILE` may hold the server's own certificate, too.
    client_config_with(Some(machine.certs.into_iter().chain(given.iter().cloned()).collect()), true)
}

/// Makes the settings of TLS clients that trust these authorities alone, or anybody. The name in a certificate is checked where
/// that is wanted.
///
/// # Errors
///
/// A text for people, if there are none among `roots`.
pub(crate) fn client_config_with(
    roots: Option<Vec<CertificateDer<'static>>>,
    checks_name: bool,
) -> Result<Arc<ClientConfig>, String> {
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let text = |error: &dyn std::fmt::Display| format!("TLS can't be set up: {error}");
    let webpki = match &roots {
        None => None,
        Some(given) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(given.iter().cloned());
            let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            Some(webpki.build().map_err(|error| text(&error))?)
        }
    };
    let verifier =
        Verifier { webpki, own: roots.unwrap_or_default(), checks_name, provider: provider.clone() };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| text(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The usual verifier, which also takes a server's own self-signed certificate where exactly that one is trusted, as other
/// TLS libraries do. Name and validity are checked for it as well. Without authorities it takes any certificate; the server has to
/// have its key all the same.
#[derive(Debug)]
struct Verifier {
    webpki: Option<Arc<WebPkiServerVerifier>>,
    own: Vec<CertificateDer<'static>>,
    checks_name: bool,
    provider: Arc<CryptoProvider>,
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
        let Some(webpki) = &self.webpki else { return Ok(ServerCertVerified::assertion()) };
        let verdict = webpki.verify_server_cert(certificate, intermediates, name, ocsp, now);
        // "Other" stands for the one fault that such a certificate has: an authority's certificate serves as a server's.
        // It is looked for after the validity.
        if let Err(Error::InvalidCertificate(CertificateError::Other(_))) = &verdict
            && self.own.contains(&certificate.clone().into_owned())
        {
            if self.checks_name {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match verdict {
            // The name is looked at last: all else is as it should be.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

//! Builds from a command's options what it works with: the client, with credentials and certificates, and the event
//! sources.

use std::net::SocketAddr;
use std::path::Path;

use http::HeaderValue;
use vod_refresh::auth::SignatureVersion;
use vod_refresh::auth::callback::CallbackVerifier;
use vod_refresh::ids::is_masked_address;
use vod_refresh::net::{HttpOptions, HttpTransport};
use vod_refresh::smq::QueueClient;
use vod_refresh::{
    CredentialOptions, DefaultCredentials, EdgeCheck, EdgeOptions, Error, ErrorKind, EventReceiver, Inbox,
    Listener, QueueConsumer, QueueListener, VodClient,
};

use crate::args::shared::{ConnectionArgs, EventArgs, Version};
use crate::callback_keys::{callback_keys, key_file};
use crate::environment::{Environment, variable};
use crate::exit::{Failure, Result};
use crate::files::shown;
use crate::settings::{Settings, settled};

/// The client of a command that is no run, with the credentials that the chain finds.
pub(crate) async fn account_client(given: &ConnectionArgs, environment: &Environment) -> Result<VodClient> {
    client(&settled(given, environment), environment).await
}

/// A client for settled options, with the credentials that the chain finds.
pub(crate) async fn client(connection: &ConnectionArgs, environment: &Environment) -> Result<VodClient> {
    let client = client_without_credentials(connection, environment)?;
    // Asked here, so that nothing begins without credentials.
    client.credential().await?;
    Ok(client)
}

/// The same client, without checking whether there are credentials.
pub(crate) fn client_without_credentials(
    connection: &ConnectionArgs,
    environment: &Environment,
) -> Result<VodClient> {
    let http = http_options(connection, environment)?;
    // The chain: an explicit profile, then the environment and whatever else this machine has.
    let mut options = CredentialOptions::default().with_profile(connection.profile.clone());
    options.http = http.clone();
    options.allow_plain_http = connection.allow_http;
    let credentials = DefaultCredentials::in_environment(environment.credentials(&http), options);
    let mut builder = VodClient::builder(credentials)
        .with_plain_http_allowed(connection.allow_http)
        .with_signature_version(signature_version(connection))
        .with_http_options(http);
    if let Some(region) = &connection.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &connection.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(endpoint) = &connection.task_endpoint {
        builder = builder.with_task_endpoint(endpoint);
    }
    if let Some(max_rps) = connection.max_rps {
        builder = builder.with_max_rps(max_rps);
    }
    Ok(builder.build()?)
}

/// How requests are signed.
pub(crate) fn signature_version(connection: &ConnectionArgs) -> SignatureVersion {
    match connection.signature_version {
        Some(Version::V3) => SignatureVersion::V3,
        Some(Version::V1) | None => SignatureVersion::V1,
    }
}

/// A client of the queue at `url`, with the credentials of `client`.
pub(crate) fn queue_client(
    url: &str,
    client: &VodClient,
    connection: &ConnectionArgs,
    environment: &Environment,
) -> Result<QueueClient> {
    let builder = QueueClient::builder(client.credentials(), url)
        .with_plain_http_allowed(connection.allow_http)
        .with_http_options(http_options(connection, environment)?);
    Ok(builder.build()?)
}

/// What asks nodes of the CDN, if a run is to do so.
pub(crate) fn edge_check(
    Settings { edge: args, connection, .. }: &Settings,
    client: &VodClient,
    environment: &Environment,
) -> Result<Option<EdgeCheck>> {
    if !args.verify_edge {
        return Ok(None);
    }
    let is_masked = |value: &HeaderValue| value.to_str().is_ok_and(is_masked_address);
    if let Some((name, _)) = args.edge_header.iter().find(|(_, value)| is_masked(value)) {
        return Err(Failure::config(format!(
            "the journal does not keep the value of the header {name} for the nodes of the CDN: give it again, with \
             `--verify-edge --edge-header '{name}: VALUE'`"
        )));
    }
    let http = http_options(connection, environment)?;
    let mut options = EdgeOptions::default();
    options.nodes.clone_from(&args.edge_node);
    options.headers.extend(args.edge_header.iter().cloned());
    options.extra_roots = http.extra_roots;
    options.proxy_from_environment = http.proxy_from_environment;
    options.sample = args.edge_sample.map_or(options.sample, |sample| sample as usize);
    if let Some(path) = &args.edge_auth_key_file {
        options.auth_key =
            key_file(path, "URL authentication key file", &environment.printer)?.into_iter().next();
    }
    Ok(Some(EdgeCheck::new(options)?.with_clock(client.service_clock())))
}

/// Certificates and proxies.
fn http_options(connection: &ConnectionArgs, environment: &Environment) -> Result<HttpOptions> {
    let mut http = HttpOptions::default();
    http.proxy_from_environment = environment.has_proxies();
    if let Some(path) = &connection.ca_file {
        http.extra_roots.push(certificates(path)?);
    }
    Ok(http)
}

/// The PEM file at `path`. The library reads `SSL_CERT_FILE` itself, where TLS is spoken.
fn certificates(path: &Path) -> Result<Vec<u8>> {
    let cannot = |what: &str| {
        let name = shown(path);
        Error::new(ErrorKind::Config, format!("cannot {what} the CA file {name} of `--ca-file`"))
    };
    let pem = std::fs::read(path).map_err(|why| cannot("read").with_source(why))?;
    // Tried on its own here, where its name is known.
    let mut alone = HttpOptions::default();
    alone.extra_roots.push(pem.clone());
    HttpTransport::new(&alone).map_err(|why| cannot("use").with_source(why))?;
    Ok(pem)
}

/// Where the events of a run come in: a port, a queue, or both, with one inbox behind them.
pub(crate) struct EventSources {
    pub(crate) inbox: Inbox,
    listener: Option<Listener>,
    queue: Option<QueueListener>,
}

impl EventSources {
    /// Listens where the settings say.
    pub(crate) async fn open(
        settings: &Settings,
        client: &VodClient,
        environment: &Environment,
    ) -> Result<Self> {
        let Settings { connection, events, .. } = settings;
        let inbox = Inbox::new();
        let listener = match events.callback_listen {
            Some(address) => Some(listen(address, events, &inbox, client, environment).await?),
            None => None,
        };
        let queue = match &events.queue {
            Some(url) => Some(queue_client(url, client, connection, environment)?),
            None => None,
        };
        let queue = queue.map(|client| QueueConsumer::new(client, inbox.clone()).spawn());
        Ok(Self { inbox, listener, queue })
    }

    pub(crate) async fn close(self) {
        if let Some(listener) = self.listener {
            listener.close().await;
        }
        if let Some(queue) = self.queue {
            // What ended it early was a warning of the run.
            let _ = queue.close().await;
        }
    }
}

async fn listen(
    address: SocketAddr,
    events: &EventArgs,
    inbox: &Inbox,
    client: &VodClient,
    environment: &Environment,
) -> Result<Listener> {
    let printer = &environment.printer;
    let keys = callback_keys(&events.key, environment)?;
    let signed = !keys.is_empty();
    if !signed && !address.ip().to_canonical().is_loopback() {
        if !events.allow_unsigned_callbacks {
            return Err(Failure::config(format!(
                "listening on {address} without a key would take events from anybody: give \
                 `--callback-auth-key-file` or {}, or allow it with `--allow-unsigned-callbacks`",
                variable::CALLBACK_KEY
            )));
        }
        printer.warn(&format!("anybody who reaches {address} can send events: they are not signed"));
    }
    let listener = Listener::bind(address, |bound| {
        let url = events.callback_url.clone().unwrap_or_else(|| format!("http://{bound}/"));
        EventReceiver::new(inbox.clone(), CallbackVerifier::new(url, keys)).with_clock(client.service_clock())
    })
    .await?;
    let bound = listener.address();
    printer.say(&format!("listening for callbacks on {bound}"));
    if signed && events.callback_url.is_none() && bound.ip().is_unspecified() {
        printer.warn(&format!(
            "signatures are checked against http://{bound}/, which nobody can call: give `--callback-url`"
        ));
    }
    environment.listening(bound);
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use vod_refresh::auth::credentials::{KEY_ID_VARIABLE, SECRET_VARIABLE};

    use super::*;
    use crate::args::{Cli, Command};

    async fn client(options: &str, variables: &[(&'static str, &str)]) -> Result<VodClient, Vec<String>> {
        let line = format!("vod-refresh wait J1 {options}");
        let Command::Wait(args) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else {
            panic!()
        };
        let mut pairs = vec![(KEY_ID_VARIABLE, "id".to_owned()), (SECRET_VARIABLE, "secret".to_owned())];
        pairs.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let environment = Environment::of_test(pairs);
        account_client(&args.run.connection, &environment).await.map_err(|failure| failure.lines().to_vec())
    }

    #[tokio::test]
    async fn an_option_goes_before_its_variable_and_an_empty_variable_is_none() {
        let endpoint = "http://127.0.0.1:1";
        let variable = [(variable::ENDPOINT, endpoint)];
        assert_eq!(client("", &variable).await.unwrap().endpoint(), endpoint);
        let other = client("--endpoint http://127.0.0.1:2", &variable).await.unwrap();
        assert_eq!((other.endpoint(), other.task_endpoint()), ("http://127.0.0.1:2", "http://127.0.0.1:2"));
        let empty =
            [(variable::ENDPOINT, ""), (variable::REGION, ""), (variable::VENDOR_REGION, "cn-beijing")];
        let empty = client("", &empty).await.unwrap();
        assert_eq!(empty.endpoint(), "https://vod.cn-beijing.aliyuncs.com");
        assert_eq!(empty.task_endpoint(), "https://vod.cn-shanghai.aliyuncs.com");
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_named() {
        for (options, part) in [
            ("--endpoint http://10.0.0.1", "plain HTTP"),
            ("--region CN", "no region id"),
            ("--ca-file no-such-file.pem", "no-such-file.pem"),
            #[cfg(unix)]
            ("--ca-file /dev/null", "cannot use the CA file /dev/null of `--ca-file`"),
        ] {
            let lines = client(options, &[]).await.unwrap_err();
            assert!(lines[0].contains(part), "{lines:?}");
        }
    }
}

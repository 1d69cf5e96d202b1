//! Connection: which service, how signed, how fast.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use vod_refresh::auth::SignatureVersion;
use vod_refresh::net::{HttpOptions, HttpTransport};
use vod_refresh::{
    CredentialOptions, DefaultCredentials, EnvironmentCredentials, Error, ErrorKind, VodClient,
};

use super::media::text;
use crate::exit::Failure;
use crate::formatting::escape_control;
use crate::world::{World, variable};

/// The journal keeps them too: they must hold no secret.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Connection")]
#[serde(default)]
pub(crate) struct ConnectionArgs {
    /// Region of the VOD service [env: VOD_REFRESH_REGION, ALIBABA_CLOUD_REGION_ID] [default: cn-shanghai]
    #[arg(long, value_name = "REGION", value_parser = text())]
    region: Option<String>,
    /// Another endpoint: emulator, gateway. `http://` is for this machine only [env: VOD_REFRESH_ENDPOINT]
    /// [default: by region]
    #[arg(long, value_name = "URL", value_parser = text())]
    endpoint: Option<String>,
    /// Endpoint for task and quota queries [env: VOD_REFRESH_TASK_ENDPOINT] [default: --endpoint, else cn-shanghai]
    #[arg(long, value_name = "URL", value_parser = text())]
    task_endpoint: Option<String>,
    /// How requests are signed: HMAC-SHA1, or ACS3-HMAC-SHA256 [default: v1]
    #[arg(long, value_enum, value_name = "VERSION")]
    signature_version: Option<Version>,
    /// Cap on API calls per second for each action [default: 20; task queries begin with 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_rps: Option<u32>,
    /// Trust the certificates in this PEM file too [env: SSL_CERT_FILE] [default: the system's only]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Allow plain HTTP to other hosts than this machine [default: refuse, exit 3]
    #[arg(long)]
    allow_http: bool,
    /// Profile of the vendor's configuration files to take credentials from [env: ALIBABA_CLOUD_PROFILE]
    /// [default: the credential chain]
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub(crate) profile: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Version {
    V1,
    V3,
}

impl ConnectionArgs {
    /// The settings with the environment's where none were given, good in any folder.
    ///
    /// `SSL_CERT_FILE` stays out: it belongs to the machine, not to the run.
    pub(crate) fn settled(&self, world: &World) -> Self {
        let or_variable = |given: &Option<String>, name| given.clone().or_else(|| world.variable(name));
        Self {
            region: or_variable(&self.region, variable::REGION)
                .or_else(|| world.variable(variable::VENDOR_REGION)),
            endpoint: or_variable(&self.endpoint, variable::ENDPOINT),
            task_endpoint: or_variable(&self.task_endpoint, variable::TASK_ENDPOINT),
            ca_file: self.ca_file.as_deref().map(absolute),
            ..self.clone()
        }
    }

    /// What was given here, else what `stored` says. The environment has no say: it was asked when the run began.
    pub(crate) fn or(&self, stored: &Self) -> Self {
        Self {
            region: self.region.clone().or_else(|| stored.region.clone()),
            endpoint: self.endpoint.clone().or_else(|| stored.endpoint.clone()),
            task_endpoint: self.task_endpoint.clone().or_else(|| stored.task_endpoint.clone()),
            signature_version: self.signature_version.or(stored.signature_version),
            max_rps: self.max_rps.or(stored.max_rps),
            ca_file: self.ca_file.as_deref().map(absolute).or_else(|| stored.ca_file.clone()),
            allow_http: self.allow_http || stored.allow_http,
            profile: self.profile.clone().or_else(|| stored.profile.clone()),
        }
    }

    /// A client for settled settings, with the credentials that the chain finds.
    pub(crate) async fn client(&self, world: &World) -> Result<VodClient, Failure> {
        let client = self.unasked_client(world)?;
        // Asked here, so that nothing begins without credentials.
        client.credential().await?;
        Ok(client)
    }

    /// The credentials in variables: the one source that needs no call.
    pub(crate) fn environment(&self, world: &World) -> EnvironmentCredentials {
        EnvironmentCredentials::from_lookup(|name| world.variable(name))
    }

    /// How requests are signed.
    pub(crate) fn version(&self) -> SignatureVersion {
        match self.signature_version {
            Some(Version::V3) => SignatureVersion::V3,
            Some(Version::V1) | None => SignatureVersion::V1,
        }
    }

    /// The same client, without a look at whether there are credentials.
    pub(crate) fn unasked_client(&self, world: &World) -> Result<VodClient, Failure> {
        let http = self.http(world)?;
        let credentials = self.credentials(world, &http);
        let mut builder = VodClient::builder(credentials).with_plain_http_allowed(self.allow_http);
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(endpoint) = &self.task_endpoint {
            builder = builder.with_task_endpoint(endpoint);
        }
        builder = builder.with_signature_version(self.version());
        if let Some(max_rps) = self.max_rps {
            builder = builder.with_max_rps(max_rps);
        }
        Ok(builder.with_http_options(http).build()?)
    }

    /// Whether plain HTTP may go to other hosts than this machine.
    pub(crate) fn allows_http(&self) -> bool {
        self.allow_http
    }

    /// Certificates and proxies.
    pub(crate) fn http(&self, world: &World) -> Result<HttpOptions, Failure> {
        let mut http = HttpOptions::default();
        http.proxy_from_environment = world.proxies;
        if let Some(path) = &self.ca_file {
            http.extra_roots.push(certificates(path, "--ca-file")?);
        } else if let Some(path) = world.variable(variable::CA_FILE) {
            http.extra_roots.push(certificates(Path::new(&path), variable::CA_FILE)?);
        }
        Ok(http)
    }

    /// The chain: an explicit profile, then the environment and whatever else this machine has.
    pub(crate) fn credentials(&self, world: &World, http: &HttpOptions) -> DefaultCredentials {
        let mut options = CredentialOptions::default().with_profile(self.profile.clone());
        options.http = http.clone();
        options.allow_plain_http = self.allow_http;
        DefaultCredentials::in_world(world.credentials(http), options)
    }

    /// The options as words, to repeat the connection on another command line.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                words.extend([name.to_owned(), value]);
            }
        };
        put("--region", self.region.clone());
        put("--endpoint", self.endpoint.clone());
        put("--task-endpoint", self.task_endpoint.clone());
        let version = self.signature_version.map(|version| match version {
            Version::V1 => "v1".to_owned(),
            Version::V3 => "v3".to_owned(),
        });
        put("--signature-version", version);
        put("--max-rps", self.max_rps.map(|n| n.to_string()));
        put("--profile", self.profile.clone());
        put("--ca-file", self.ca_file.as_ref().map(|path| path.display().to_string()));
        if self.allow_http {
            words.push("--allow-http".to_owned());
        }
        words
    }
}

/// A path that leads to the same file from any folder.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The PEM file at `path`, which `source` names.
fn certificates(path: &Path, source: &str) -> Result<Vec<u8>, Failure> {
    let named = |what: &str| {
        let name = escape_control(&path.display().to_string());
        Error::new(ErrorKind::Config, format!("cannot {what} the CA file {name} of `{source}`"))
    };
    let pem = std::fs::read(path).map_err(|why| named("read").with_source(why))?;
    // Tried on its own here, where its name is known.
    let mut alone = HttpOptions::default();
    alone.plain_http_only = true;
    alone.extra_roots.push(pem.clone());
    HttpTransport::new(&alone).map_err(|why| named("use").with_source(why))?;
    Ok(pem)
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
        let world = World::of(pairs);
        args.run.connection.settled(&world).client(&world).await.map_err(|failure| failure.lines())
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
            ("--ca-file /nonexistent.pem", "/nonexistent.pem"),
            ("--ca-file /dev/null", "cannot use the CA file /dev/null of `--ca-file`"),
        ] {
            let lines = client(options, &[]).await.unwrap_err();
            assert!(lines[0].contains(part), "{lines:?}");
        }
    }
}

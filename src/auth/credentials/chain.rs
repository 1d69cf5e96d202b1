//! The order in which the sources are asked, and why each gave nothing.
//!
//! A profile that an option names goes first and alone, and one that a variable names comes after the keys of the environment:
//! if it is missing, that is an error, never a reason to sign as somebody else. Otherwise: environment, OIDC, `config.json`, `credentials.ini` or `credentials`, the credentials URI,
//! and the instance role last, because it is there without anybody's asking for it and costs a second where it is not.
//! The vendor's SDKs ask the URI after the instance role; a URI is always meant, a role may be the machine's.

use std::sync::Arc;

use tracing::debug;

use super::cached::CachedCredentials;
use super::context::{Context, CredentialOptions, Finding, NamedProfile, config_error};
use super::environment::Environment;
use super::{files, metadata, variables};
use crate::auth::credential::{Credential, CredentialProvider};
use crate::error::{Error, Result};
use crate::net::clock::to_wire;
use crate::net::transport::BoxFuture;

/// Finds credentials where the vendor's tools find them, and keeps them alive.
///
/// The order: the profile that an option names; else environment, OIDC role (RRSA, CI), `~/.aliyun/config.json`,
/// `~/.alibabacloud/credentials.ini` or `credentials`, `ALIBABA_CLOUD_CREDENTIALS_URI`, the ECS instance's role. What is
/// broken stops the search. Files are read, never written. Clones share what was found.
///
/// No source is asked before the first question, and all of them again at each renewal.
#[derive(Debug, Clone)]
pub struct DefaultCredentials {
    context: Arc<Context>,
    cached: Arc<CachedCredentials>,
}

impl DefaultCredentials {
    /// Looks into the environment of this process.
    pub fn new(options: CredentialOptions) -> Self {
        Self::in_environment(Environment::of_process(&options.http), options)
    }

    /// Looks into another environment, for tests.
    pub fn in_environment(environment: Environment, options: CredentialOptions) -> Self {
        let clock = environment.clock.clone();
        let context = Arc::new(Context::new(environment, options));
        let cached = Arc::new(CachedCredentials::new(context.clone()).with_clock(clock));
        Self { context, cached }
    }

    /// The region of the profile that the credential would come from, if it is one that names a region: the vendor's command line
    /// works there. Reads files and asks nobody; what is broken in them is for the credential itself to say.
    pub fn region(&self) -> Option<String> {
        let (context, named) = (&self.context, self.context.named_profile());
        let is_alone = named.as_ref().is_some_and(|named| named.is_alone);
        let in_environment = variables::key_pair(context)
            .map_or(true, |found| matches!(found, Finding::Found(_)))
            || variables::has_oidc_role(context);
        if in_environment && !is_alone {
            return None;
        }
        files::region(context, named.as_ref().map(|named| named.name.as_str()))
    }

    /// Asks every source anew, past what is cached, and says what each answered. No secret is in it. Cancel safe.
    pub async fn explain(&self) -> Explanation {
        ask_in_order(&self.context).await
    }
}

impl CredentialProvider for DefaultCredentials {
    fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>> {
        self.cached.credential()
    }

    fn refused(&self, used: &Credential) {
        self.cached.refused(used);
    }
}

impl CredentialProvider for Context {
    fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>> {
        Box::pin(async { ask_in_order(self).await.outcome.map(Some) })
    }
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Environment,
    Oidc,
    CliConfig,
    Ini,
    Uri,
    InstanceRole,
}

/// The sources and their names for people, in the order of asking.
const ORDER: [(Source, &str); 6] = [
    (Source::Environment, "environment"),
    (Source::Oidc, "OIDC"),
    (Source::CliConfig, "config.json"),
    (Source::Ini, "credentials file"),
    (Source::Uri, "credentials URI"),
    (Source::InstanceRole, "instance role"),
];

impl Source {
    /// Whether it knows profiles. Where one is named, no other source is asked.
    fn has_profiles(self) -> bool {
        matches!(self, Self::CliConfig | Self::Ini)
    }

    /// Whether variables alone hold it: then somebody gave it to this very process.
    fn is_in_environment(self) -> bool {
        matches!(self, Self::Environment | Self::Oidc)
    }

    async fn ask(self, context: &Context, profile: Option<&str>) -> Result<Finding> {
        match self {
            Self::Environment => variables::key_pair(context),
            Self::Oidc => variables::oidc_role(context).await,
            Self::CliConfig => files::cli_config(context, profile).await,
            Self::Ini => files::ini(context, profile).await,
            Self::Uri => variables::credentials_uri(context).await,
            Self::InstanceRole => metadata::own_role(context).await,
        }
    }
}

/// The chain's answer and how it came about.
#[derive(Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// What each source said, in the order of asking, for people: `OIDC: none, …`. No secret is in it.
    pub steps: Vec<String>,
    /// The credential, or why there is none.
    pub outcome: Result<Credential>,
}

/// Asks the sources in order; the first that has something to say ends it.
async fn ask_in_order(context: &Context) -> Explanation {
    let profile = context.named_profile();
    let name = profile.as_ref().map(|named| named.name.as_str());
    let is_alone = profile.as_ref().is_some_and(|named| named.is_alone);
    let mut steps = Vec::new();
    let mut outcome = None;
    for (source, source_name) in ORDER {
        // A missing profile that somebody named ends it.
        if name.is_some() && !source.has_profiles() && (is_alone || !source.is_in_environment()) {
            continue;
        }
        if outcome.is_some() {
            steps.push(format!("{source_name}: not asked"));
            continue;
        }
        let said = match source.ask(context, name).await {
            Ok(Finding::Found(credential)) => {
                if let Some(named) = profile.as_ref().filter(|_| !source.has_profiles()) {
                    let NamedProfile { name, by, .. } = named;
                    debug!("credentials: {source_name} goes before profile {name:?}, which {by} names");
                }
                let until = credential.expires.map(|end| format!(", until {}", to_wire(end)));
                let (key_id, from) = (&credential.key_id, &credential.source);
                let said = format!("key id {key_id} from {from}{}", until.unwrap_or_default());
                outcome = Some(Ok(credential));
                said
            }
            Ok(Finding::Absent(why)) => format!("none, {why}"),
            Err(error) => {
                let said = format!("broken, {error}");
                outcome = Some(Err(error));
                said
            }
        };
        debug!("credentials: {source_name}: {said}");
        steps.push(format!("{source_name}: {said}"));
    }
    let outcome = outcome.unwrap_or_else(|| Err(nothing_found(steps.clone(), profile)));
    Explanation { steps, outcome }
}

fn nothing_found(steps: Vec<String>, profile: Option<NamedProfile>) -> Error {
    match profile {
        Some(NamedProfile { name, by, .. }) => {
            config_error(format!("there is no profile {name:?}, which {by} names"))
        }
        None => config_error("no credentials found").with_code("NoCredentials"),
    }
    .with_points(steps)
}

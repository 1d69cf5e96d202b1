//! The order in which the sources are asked, and why each gave nothing.
//!
//! A profile that somebody named goes first and alone: if it is missing, that is an error, never a reason to sign as
//! somebody else. Otherwise: environment, OIDC, `config.json`, `credentials.ini` or `credentials`, the credentials URI,
//! and the instance role last, because it is there without anybody's asking for it and costs a second where it is not.
//! The vendor's SDKs ask the URI after the instance role; a URI is always meant, a role may be the machine's.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use tracing::debug;

use super::{
    Credential, CredentialOptions, CredentialProvider as _, EnvironmentCredentials, KEY_ID_VARIABLE,
    SECRET_VARIABLE, World, cli_config, ini, metadata, oidc, uri,
};
use crate::error::{Error, ErrorKind, Result};

/// The variable that names a profile.
pub(super) const PROFILE_VARIABLE: &str = "ALIBABA_CLOUD_PROFILE";

/// What a source says.
#[derive(Debug)]
pub(super) enum Answer {
    /// It has one.
    Found(Credential),
    /// Nothing of it is here, and why; the next one is asked.
    Absent(String),
}

/// What every source can see.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) world: World,
    pub(super) options: CredentialOptions,
    /// Once the instance gave a role, its absence is an outage and no longer "we are not on an instance".
    pub(super) on_instance: AtomicBool,
}

impl Context {
    pub(super) fn new(world: World, options: CredentialOptions) -> Self {
        Self { world, options, on_instance: AtomicBool::new(false) }
    }

    /// The profile that was named, and by what.
    pub(super) fn named_profile(&self) -> Option<(String, &'static str)> {
        let given = self.options.profile.clone().filter(|name| !name.is_empty());
        let variable = || Some((self.world.variable(PROFILE_VARIABLE)?, PROFILE_VARIABLE));
        given.map(|name| (name, "the profile option")).or_else(variable)
    }
}

/// One place to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Environment,
    Oidc,
    CliConfig,
    Ini,
    Uri,
    InstanceRole,
}

/// With no profile named.
const ORDER: &[Source] =
    &[Source::Environment, Source::Oidc, Source::CliConfig, Source::Ini, Source::Uri, Source::InstanceRole];
/// With a profile named: the two files that know profiles.
const PROFILE_ORDER: &[Source] = &[Source::CliConfig, Source::Ini];

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Oidc => "OIDC",
            Self::CliConfig => "config.json",
            Self::Ini => "credentials file",
            Self::Uri => "credentials URI",
            Self::InstanceRole => "instance role",
        }
    }

    async fn ask(self, context: &Context, profile: Option<&str>) -> Result<Answer> {
        match self {
            Self::Environment => environment(&context.world).await,
            Self::Oidc => oidc::from_environment(context).await,
            Self::CliConfig => cli_config::ask(context, profile).await,
            Self::Ini => ini::ask(context, profile).await,
            Self::Uri => uri::from_environment(context).await,
            Self::InstanceRole => metadata::from_environment(context).await,
        }
    }
}

async fn environment(world: &World) -> Result<Answer> {
    let found = EnvironmentCredentials::from_lookup(|name| world.variable(name)).credential().await?;
    let absent = || Answer::Absent(format!("{KEY_ID_VARIABLE} and {SECRET_VARIABLE} are not set"));
    Ok(found.map_or_else(absent, Answer::Found))
}

/// What came of asking one source.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It gave the credential.
    Found {
        /// The key id.
        key_id: String,
        /// Where exactly it came from.
        from: String,
        /// When it ends, if that is known.
        expires: Option<DateTime<Utc>>,
    },
    /// It has nothing to do with this machine, for this reason.
    Absent(String),
    /// It is there and broken, for this reason: nothing after it is asked.
    Broken(String),
    /// One before it had the answer.
    NotAsked,
}

/// One source and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The source, for people: `environment`, `config.json`.
    pub source: &'static str,
    /// What it said. Holds no secret.
    pub verdict: Verdict,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source;
        match &self.verdict {
            Verdict::Found { key_id, from, expires } => {
                write!(f, "{source}: key id {key_id} from {from}")?;
                match expires {
                    Some(end) => write!(f, ", until {}", crate::net::clock::to_wire(*end)),
                    None => Ok(()),
                }
            }
            Verdict::Absent(why) => write!(f, "{source}: none, {why}"),
            Verdict::Broken(why) => write!(f, "{source}: broken, {why}"),
            Verdict::NotAsked => write!(f, "{source}: not asked"),
        }
    }
}

/// The chain's answer and how it came about.
#[derive(Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// Every source in the order of asking.
    pub steps: Vec<Step>,
    /// The credential, or why there is none.
    pub outcome: Result<Credential>,
}

/// Asks the sources in order; the first that has something to say ends it.
pub(super) async fn walk(context: &Context) -> Explanation {
    let profile = context.named_profile();
    let order = if profile.is_some() { PROFILE_ORDER } else { ORDER };
    let name = profile.as_ref().map(|(name, _)| name.as_str());
    let mut steps = Vec::new();
    let mut outcome = None;
    for source in order {
        let verdict = if outcome.is_some() {
            Verdict::NotAsked
        } else {
            match source.ask(context, name).await {
                Ok(Answer::Found(credential)) => {
                    if *source == Source::InstanceRole {
                        context.on_instance.store(true, Ordering::Relaxed);
                    }
                    let (key_id, from) = (credential.key_id.clone(), credential.source.clone());
                    let verdict = Verdict::Found { key_id, from, expires: credential.expires };
                    outcome = Some(Ok(credential));
                    verdict
                }
                Ok(Answer::Absent(why)) => Verdict::Absent(why),
                Err(error) => {
                    let verdict = Verdict::Broken(error.to_string());
                    outcome = Some(Err(error));
                    verdict
                }
            }
        };
        let step = Step { source: source.name(), verdict };
        if step.verdict != Verdict::NotAsked {
            debug!("credentials: {step}");
        }
        steps.push(step);
    }
    let outcome = outcome.unwrap_or_else(|| Err(nothing_found(&steps, profile)));
    Explanation { steps, outcome }
}

fn nothing_found(steps: &[Step], profile: Option<(String, &'static str)>) -> Error {
    let reasons: Vec<String> = steps.iter().map(ToString::to_string).collect();
    let reasons = reasons.join("; ");
    match profile {
        Some((name, by)) => Error::new(
            ErrorKind::Config,
            format!("there is no profile {name:?}, which {by} names ({reasons})"),
        ),
        None => Error::new(ErrorKind::Config, format!("no credentials found ({reasons})"))
            .with_code("NoCredentials"),
    }
}

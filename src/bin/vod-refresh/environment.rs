//! What a command finds around it, as a value: variables, proxies, where it prints, and who wants to know where events
//! come in. The demo and tests bring their own.

use std::net::SocketAddr;
use std::sync::Arc;

use vod_refresh::auth::credentials;
use vod_refresh::net::HttpOptions;

#[cfg(unix)]
use crate::advice::RAISE_FILE_LIMIT;
use crate::exit::{Failure, Result};
use crate::printer::Printer;

/// Environment variables that are ours. Help texts name them.
pub(crate) mod variable {
    pub(crate) const REGION: &str = "VOD_REFRESH_REGION";
    pub(crate) const VENDOR_REGION: &str = "ALIBABA_CLOUD_REGION_ID";
    pub(crate) const ENDPOINT: &str = "VOD_REFRESH_ENDPOINT";
    pub(crate) const TASK_ENDPOINT: &str = "VOD_REFRESH_TASK_ENDPOINT";
    pub(crate) const CALLBACK_KEY: &str = "VOD_REFRESH_CALLBACK_AUTH_KEY";
    pub(crate) const JOURNAL: &str = "VOD_REFRESH_JOURNAL";
    pub(crate) const STATE_HOME: &str = "XDG_STATE_HOME";
    pub(crate) const HOME: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
}

/// Least number of files and sockets that must be allowed: journal, listener, signals and runtime hold 16 of them open.
#[cfg(unix)]
const MIN_FILES: u64 = 24;
/// As many are asked for: 32 calls may be in flight, beside senders of events.
#[cfg(unix)]
const WANTED_FILES: u64 = 1_024;

/// The process's environment, or one that is made up.
pub(crate) struct Environment {
    pub(crate) printer: Printer,
    /// The only variables of an environment that is made up.
    made_up: Option<Arc<Vec<(&'static str, String)>>>,
    on_listening: Option<Box<dyn Fn(SocketAddr) + Send + Sync>>,
}

impl Environment {
    /// The process's own.
    pub(crate) fn of_process(printer: Printer) -> Self {
        Self { printer, made_up: None, on_listening: None }
    }

    /// One with these variables and no others, and no proxies.
    #[cfg(any(test, feature = "emulator"))]
    pub(crate) fn of_variables(pairs: Vec<(&'static str, String)>, printer: Printer) -> Self {
        Self { printer, made_up: Some(Arc::new(pairs)), on_listening: None }
    }

    /// Tells `callback` the address of the event listener once it is bound.
    #[cfg(feature = "emulator")]
    pub(crate) fn with_on_listening(self, callback: impl Fn(SocketAddr) + Send + Sync + 'static) -> Self {
        Self { on_listening: Some(Box::new(callback)), ..self }
    }

    /// A variable. Set but empty is as unset: CI systems can't do otherwise.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let value = match &self.made_up {
            Some(pairs) => find(pairs, name),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// Fails for a variable of ours or of the vendor's that is not UTF-8, since it would be as unset, in silence; and where this
    /// process may open too few files.
    pub(crate) fn check(&self) -> Result<()> {
        #[cfg(unix)]
        raise_file_limit()?;
        let is_ours = |name: &str| {
            let has_prefix = ["VOD_REFRESH_", "ALIBABA_CLOUD_"].iter().any(|prefix| name.starts_with(prefix));
            has_prefix || ["SSL_CERT_FILE", variable::STATE_HOME].contains(&name)
        };
        let mut names = std::env::vars_os().filter(|(_, value)| value.to_str().is_none());
        let bad = names.find_map(|(name, _)| name.into_string().ok().filter(|name| is_ours(name)));
        match bad {
            Some(name) => Err(Failure::config(format!("the variable {name} is not UTF-8: set it anew"))),
            None => Ok(()),
        }
    }

    /// Whether the proxy variables count.
    pub(crate) fn has_proxies(&self) -> bool {
        self.made_up.is_none()
    }

    /// Where credentials are looked for: all of this machine, or these variables alone.
    pub(crate) fn credentials(&self, http: &HttpOptions) -> credentials::Environment {
        match self.made_up.clone() {
            Some(pairs) => {
                let mut environment = credentials::Environment::empty();
                environment.variables = Arc::new(move |name: &str| find(&pairs, name));
                environment
            }
            None => credentials::Environment::of_process(http),
        }
    }

    /// The event listener is bound.
    pub(crate) fn listening(&self, address: SocketAddr) {
        if let Some(callback) = &self.on_listening {
            callback(address);
        }
    }
}

/// Allows this process as many open files as it may have.
#[cfg(unix)]
fn raise_file_limit() -> Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(WANTED_FILES, |most| most.min(WANTED_FILES));
    if limit.current.is_some_and(|now| now < wanted) {
        limit.current = Some(wanted);
        // Where that is not allowed, what there is may do.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    match getrlimit(Resource::Nofile).current {
        Some(few) if few < MIN_FILES => Err(Failure::config(format!(
            "this process may have {few} files and sockets open, and needs {MIN_FILES}: {RAISE_FILE_LIMIT}"
        ))),
        _ => Ok(()),
    }
}

fn find(pairs: &[(&'static str, String)], name: &str) -> Option<String> {
    pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::shared::MessageArgs;

    impl Environment {
        /// One for tests that print nothing.
        pub(crate) fn of_test(pairs: Vec<(&'static str, String)>) -> Self {
            Self::of_variables(pairs, Printer::new(&MessageArgs::default()))
        }
    }
}

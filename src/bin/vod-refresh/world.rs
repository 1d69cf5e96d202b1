//! What the process finds around it, as a value. The demo and tests bring their own.

use std::net::SocketAddr;
use std::sync::Arc;

use vod_refresh::auth::credentials;
use vod_refresh::net::HttpOptions;

/// Environment variables that are ours. Help texts name them.
pub(crate) mod variable {
    pub(crate) const REGION: &str = "VOD_REFRESH_REGION";
    pub(crate) const VENDOR_REGION: &str = "ALIBABA_CLOUD_REGION_ID";
    pub(crate) const ENDPOINT: &str = "VOD_REFRESH_ENDPOINT";
    pub(crate) const TASK_ENDPOINT: &str = "VOD_REFRESH_TASK_ENDPOINT";
    pub(crate) const CALLBACK_KEY: &str = "VOD_REFRESH_CALLBACK_AUTH_KEY";
    pub(crate) const CA_FILE: &str = "SSL_CERT_FILE";
    pub(crate) const JOURNAL: &str = "VOD_REFRESH_JOURNAL";
    pub(crate) const STATE_HOME: &str = "XDG_STATE_HOME";
    pub(crate) const HOME: &str = "HOME";
}

type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;
type OnListening = Box<dyn Fn(SocketAddr) + Send + Sync>;

/// Environment, proxies, and who wants to know where events come in.
pub(crate) struct World {
    lookup: Lookup,
    is_real: bool,
    /// Whether the proxy variables count.
    pub(crate) proxies: bool,
    on_listening: OnListening,
}

impl World {
    /// The process's own.
    pub(crate) fn real() -> Self {
        Self {
            lookup: Arc::new(|name| std::env::var(name).ok()),
            is_real: true,
            proxies: true,
            on_listening: Box::new(|_| {}),
        }
    }

    /// A world with these variables and no others, and no proxies.
    #[cfg(any(test, feature = "emulator"))]
    pub(crate) fn of(pairs: Vec<(&'static str, String)>) -> Self {
        Self {
            is_real: false,
            lookup: Arc::new(move |name| {
                pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone())
            }),
            proxies: false,
            on_listening: Box::new(|_| {}),
        }
    }

    /// Who is told the address of the event listener.
    #[cfg(feature = "emulator")]
    pub(crate) fn with_on_listening(mut self, told: impl Fn(SocketAddr) + Send + Sync + 'static) -> Self {
        self.on_listening = Box::new(told);
        self
    }

    /// A variable. Set but empty is as unset: CI systems can't do otherwise.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// Where credentials are looked for: all of this machine, or these variables alone.
    pub(crate) fn credentials(&self, http: &HttpOptions) -> credentials::Environment {
        if self.is_real {
            return credentials::Environment::of_process(http);
        }
        let lookup = self.lookup.clone();
        credentials::Environment::empty().with_variables(move |name| lookup(name))
    }

    /// The event listener is bound.
    pub(crate) fn listening(&self, address: SocketAddr) {
        (self.on_listening)(address);
    }
}

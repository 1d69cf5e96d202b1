//! The loop: wait for the action's turn, sign, send, classify the answer, correct the clock, renew the credential, try again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::answer::{Answer, Sent, read};
use super::api::{Api, Signed};
use crate::auth::{Credential, CredentialProvider, redact, renew};
use crate::error::{Error, ErrorKind, Result};
use crate::net::pace::SharedPace;
use crate::net::retry::{Budget, Retry};
use crate::net::rng::Jitter;
use crate::net::service_time::ServiceTime;
use crate::net::transport::{BoxFuture, NewConnection, Transport, send_within};

/// Learns what a client does on the way to its answers.
pub(crate) trait CallObserver: Send + Sync {
    /// A request goes out.
    fn calling(&self, _action: &'static str) {}
    /// An answer asked us to slow down.
    fn throttled(&self, _action: &'static str) {}
    /// An attempt failed and will be repeated after `wait`.
    fn retrying(&self, _error: &Error, _attempt: u32, _wait: Duration) {}
    /// A call came to a good answer.
    fn went_well(&self, _action: &'static str) {}
    /// Our clock is off; signatures use the service's time from now on.
    fn clock_corrected(&self, _ours: DateTime<Utc>, _theirs: DateTime<Utc>) {}
}

/// Observes nothing.
impl CallObserver for () {}

/// One operation to be called.
pub(crate) struct Call<O> {
    pub(crate) action: &'static str,
    pub(crate) operation: O,
    /// Whether repeating it after a lost answer does no harm.
    pub(crate) idempotent: bool,
    /// Longest time of one attempt from connecting to the last byte.
    pub(crate) attempt_timeout: Duration,
    pub(crate) settings: CallSettings,
}

/// What calls of one client may have in common.
#[derive(Clone)]
pub(crate) struct CallSettings {
    pub(crate) budget: Budget,
    /// Ends the waits. A request that is on the wire is not cut: its answer is worth having.
    pub(crate) stop: CancellationToken,
    pub(crate) observer: Arc<dyn CallObserver>,
    /// The pace that it keeps together with other processes.
    pub(crate) pace: Option<Arc<dyn SharedPace>>,
}

impl Default for CallSettings {
    fn default() -> Self {
        let (budget, stop) = (Budget::default(), CancellationToken::new());
        Self { budget, stop, observer: Arc::new(()), pace: None }
    }
}

/// What the clones of a client share.
pub(crate) struct Core<A> {
    pub(crate) api: A,
    pub(crate) credentials: Arc<dyn CredentialProvider>,
    pub(crate) time: ServiceTime,
    pub(crate) jitter: Jitter,
    pub(super) transport: Arc<dyn Transport>,
    /// Whether the service has answered anything yet.
    pub(super) answered: AtomicBool,
    /// What the last request was signed with. A std mutex: never held across an await.
    pub(super) last_credential: Mutex<Option<Credential>>,
}

impl<A: Api> Core<A> {
    /// The credential that the next attempt would be signed with.
    pub(crate) async fn credential(&self) -> Result<Credential> {
        self.credentials.credential().await?.ok_or_else(|| {
            Error::new(ErrorKind::Config, "the provider has no credentials").with_code("NoCredentials")
        })
    }

    /// The proxy through which calls to `uri` go.
    pub(crate) fn proxy_of(&self, uri: &http::Uri) -> Option<String> {
        self.transport.proxy_of(uri)
    }

    /// `text` without the secrets of the last request; `None` if it holds none of them.
    pub(crate) fn hidden(&self, text: &str) -> Option<String> {
        let credential = self.last_credential.lock().unwrap_or_else(PoisonError::into_inner);
        redact::hidden(text, redact::secrets_of(credential.as_ref()?, None))
    }

    /// Makes a call, with retries, and returns what `decode` reads in the answer. An answer that it refuses as garbled is
    /// worth another attempt, like any that makes no sense.
    pub(crate) async fn call<T: Send>(
        &self,
        call: &Call<A::Operation>,
        decode: impl Fn(&Answer<A::Body>) -> Result<T> + Sync,
    ) -> Result<T> {
        let Call { action, idempotent, settings, .. } = call;
        let (action, decode) = (*action, &decode);
        let pacer = self.api.pacer(action);
        let renewed = &AtomicBool::new(false);
        let retry = Retry {
            budget: settings.budget,
            idempotent: *idempotent,
            stop: &settings.stop,
            answered: &|| self.answered.load(Ordering::Relaxed),
            renewed: &|| renewed.load(Ordering::Relaxed),
            jitter: &|| self.jitter.next(),
            on_retry: &|error, number, wait| {
                debug!(action, attempt = number, wait_ms = wait.as_millis() as u64, %error, "will try again");
                if let (ErrorKind::Throttled, Some(pacer)) = (error.kind(), pacer) {
                    pacer.throttled(settings.pace.clone(), wait);
                }
                settings.observer.retrying(error, number, wait);
            },
        };
        let attempt = || -> BoxFuture<'_, Result<T>> {
            Box::pin(async move {
                let answer = self.attempt(call, renewed).await?;
                let read = decode(&answer).map_err(|error| error.with_action(action))?;
                self.answered.store(true, Ordering::Relaxed);
                Ok(read)
            })
        };
        let read = retry.run(attempt).await?;
        if let Some(pacer) = pacer {
            pacer.went_well();
        }
        settings.observer.went_well(action);
        Ok(read)
    }

    /// Makes one attempt. Sets `renewed` if its credential was refused and another one is there.
    async fn attempt(&self, call: &Call<A::Operation>, renewed: &AtomicBool) -> Result<Answer<A::Body>> {
        let Call { action, operation, settings: CallSettings { observer, stop, pace, .. }, .. } = call;
        let action = *action;
        renewed.store(false, Ordering::Relaxed);
        let prepared = async {
            if let Some(pacer) = self.api.pacer(action) {
                pacer.turn(pace.as_deref()).await;
            }
            // After the wait: it may have been long enough for a credential to end.
            self.credential().await
        };
        let credential = tokio::select! {
            biased;
            () = stop.cancelled() => {
                return Err(Error::new(ErrorKind::Unavailable, "stopped before it was sent").with_action(action));
            }
            credential = prepared => credential?,
        };
        *self.last_credential.lock().unwrap_or_else(PoisonError::into_inner) = Some(credential.clone());
        let Signed { mut request, string_to_sign } =
            self.api.sign(operation, &credential, self.time.now())?;
        if !call.idempotent {
            request.extensions_mut().insert(NewConnection);
        }
        observer.calling(action);
        let sent_at = self.time.local();
        let response = send_within(&*self.transport, request, call.attempt_timeout)
            .await
            .map_err(|failure| Error::from(failure).with_action(action))?;
        self.time.see(response.headers(), sent_at);
        let secrets = redact::secrets_of(&credential, A::params(operation));
        let sent = Sent {
            is_read: call.idempotent,
            secrets: &secrets,
            credential: &credential,
            string_to_sign: &string_to_sign,
            now: self.time.now(),
        };
        let result = read::<A>(&response, sent).map_err(|error| {
            let error = error.with_action(action);
            match error.kind() {
                // The next attempt uses the service's time.
                ErrorKind::Clock => self.time.correct(error, response.headers(), |ours, theirs| {
                    observer.clock_corrected(ours, theirs);
                }),
                _ => error,
            }
        });
        let code = result.as_ref().err().map(|error| error.code().unwrap_or("none"));
        debug!(action, status = response.status().as_u16(), code, "answered");
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Throttled) {
            observer.throttled(action);
        }
        // A proxy can answer as well; the service gives a reason, or an answer that can be decoded.
        if result.as_ref().is_err_and(|error| error.code().is_some()) {
            self.answered.store(true, Ordering::Relaxed);
        }
        renew::after(result, &*self.credentials, &credential, renewed).await
    }
}

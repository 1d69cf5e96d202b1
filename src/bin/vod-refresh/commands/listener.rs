//! The event listener of a run.

use std::net::SocketAddr;

use secrecy::SecretString;
use vod_refresh::auth::callback::CallbackVerifier;
use vod_refresh::{EventReceiver, Inbox, Listener, VodClient};

use crate::args::events::EventArgs;
use crate::exit::Failure;
use crate::keys::callback_keys;
use crate::printer::Printer;
use crate::world::{World, variable};

/// An open ear: a port, and the inbox behind it.
pub(crate) struct Ears {
    inbox: Inbox,
    listener: Listener,
}

impl Ears {
    pub(crate) fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    pub(crate) async fn close(self) {
        self.listener.close().await;
    }
}

/// Listens where the options say; `None` if they don't.
pub(crate) async fn open(
    args: &EventArgs,
    client: &VodClient,
    world: &World,
    printer: &Printer,
) -> Result<Option<Ears>, Failure> {
    let Some(address) = args.callback_listen else { return Ok(None) };
    let keys = callback_keys(args.key.callback_auth_key_file.as_deref(), world, printer)?;
    if keys.is_empty() && !address.is_loopback() {
        if !args.allow_unsigned_callbacks {
            return Err(Failure::config(format!(
                "listening on {address} without a key would take events from anybody: give \
                 `--callback-auth-key-file` or {}, or allow it with `--allow-unsigned-callbacks`",
                variable::CALLBACK_KEY
            )));
        }
        printer.warn(&format!("anybody who reaches {address} can send events: they are not signed"));
    }
    let inbox = Inbox::new();
    let (given_url, own_inbox, signed) = (args.callback_url.clone(), inbox.clone(), !keys.is_empty());
    let listener = Listener::bind(address.0, |bound| {
        receiver(given_url, bound, own_inbox, keys).with_clock(client.service_clock())
    })
    .await?;
    let bound = listener.address();
    printer.say(&format!("listening for callbacks on {bound}"));
    if signed && args.callback_url.is_none() && bound.ip().is_unspecified() {
        printer.warn(&format!(
            "signatures are checked against http://{bound}/, which nobody can call: give `--callback-url`"
        ));
    }
    world.listening(bound);
    Ok(Some(Ears { inbox, listener }))
}

fn receiver(
    given_url: Option<String>,
    bound: SocketAddr,
    inbox: Inbox,
    keys: Vec<SecretString>,
) -> EventReceiver {
    let url = given_url.unwrap_or_else(|| format!("http://{bound}/"));
    EventReceiver::new(inbox, CallbackVerifier::new(url, keys))
}

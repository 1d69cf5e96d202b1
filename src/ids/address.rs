//! Addresses as messages, logs and files show them: without what may be a password, a token or a signature.

use std::borrow::Cow;

/// Stands for what is not shown.
const HIDDEN: &str = "<secret>";
/// From one of these on, an address is a query, a fragment or a parameter: it may be signed or hold a token.
const BEFORE_SECRETS: [char; 5] = ['?', '#', ';', '&', '='];

/// `address` with a placeholder for the user information and for the query, whether it is a URL or was meant to be one.
///
/// Where the parts of a malformed address begin is a guess, so it hides too much rather than too little: all between the
/// scheme and the last `@`, wherever that stands, and all from the first `?`, `#`, `;`, `&` or `=` on, also
/// percent-encoded ones of a query. A path is shown. A text without any of these is given back as it is.
pub fn masked_address(address: &str) -> Cow<'_, str> {
    // The last `@`: a password may have one itself.
    let host_at = address.rfind('@').map_or(0, |at| at + 1);
    let scheme = address[..host_at].find("://").map_or("", |at| &address[..at + 3]);
    let host = &address[host_at..];
    let encoded = host.to_ascii_lowercase().find("%3f");
    let end = host.find(BEFORE_SECRETS).map(|at| at + 1).into_iter().chain(encoded).min();
    if host_at == 0 && end.is_none_or(|end| end == host.len()) {
        return Cow::Borrowed(address);
    }
    let user = if host_at > 0 { "<secret>@" } else { "" };
    let (shown, query) = match end.filter(|end| *end < host.len()) {
        Some(end) => (&host[..end], HIDDEN),
        None => (host, ""),
    };
    Cow::Owned(format!("{scheme}{user}{shown}{query}"))
}

/// Whether [`masked_address`] has hidden something of this address before: it leads nowhere any more.
pub fn is_masked_address(address: &str) -> bool {
    address.contains(HIDDEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_queries_are_hidden_in_right_and_malformed_addresses() {
        for (address, shown) in [
            ("https://h.test:8080/a/b", "https://h.test:8080/a/b"),
            ("h.test", "h.test"),
            ("", ""),
            ("https://user:MARK@h.test/a", "https://<secret>@h.test/a"),
            ("user:MARK@h.test", "<secret>@h.test"),
            ("https:/user:MARK@h.test", "<secret>@h.test"),
            ("https://user:MA@RK@h.test", "https://<secret>@h.test"),
            ("https://user:MA/RK@h.test", "https://<secret>@h.test"),
            ("https://user:MA?RK@h.test/p?MARK", "https://<secret>@h.test/p?<secret>"),
            ("https://us er:MARK@h", "https://<secret>@h"),
            ("https://h.test/p?token=MARK&x=1#f", "https://h.test/p?<secret>"),
            ("https://h.test/p;s=MARK", "https://h.test/p;<secret>"),
            ("https://h.test/token=MARK", "https://h.test/token=<secret>"),
            ("https://h.test#MARK", "https://h.test#<secret>"),
            ("https://h.test/p%3Ftoken%3DMARK", "https://h.test/p<secret>"),
            ("https://h.test/p?", "https://h.test/p?"),
            ("socks5://u:MARK@[::1]:1", "socks5://<secret>@[::1]:1"),
        ] {
            assert_eq!(masked_address(address), shown, "{address}");
            assert_eq!(is_masked_address(shown), address != shown, "{address}");
        }
    }

    #[test]
    fn what_was_masked_is_known_as_such_and_masked_no_more() {
        let masked = masked_address("https://u:p@h.test/p?token=x").into_owned();
        assert_eq!(masked_address(&masked), masked);
    }
}

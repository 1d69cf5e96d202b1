//! URLs and their spellings. All spellings of one have the same normal form by the way they are made.

use crate::soak::lot::Lot;

/// A URL as it is named, and what its normal form is made of.
#[derive(Debug, Clone)]
pub(super) struct Name {
    /// As the service names it.
    pub(super) spelt: String,
    pub(super) host: String,
    /// Percent-decoded once.
    path: String,
    query: Option<String>,
}

/// Names the URLs of one media; no two have the same normal form.
pub(super) struct Names {
    media: usize,
    is_schemeless: bool,
    taken: Vec<(String, Option<String>)>,
}

impl Names {
    pub(super) fn new(media: usize, is_schemeless: bool) -> Self {
        Self { media, is_schemeless, taken: Vec::new() }
    }

    pub(super) fn draw(&mut self, lot: &mut Lot) -> Name {
        let n = self.taken.len();
        let dir = format!("/m{}", self.media);
        let (mut path, mut query) = match lot.below(12) {
            0 if !self.is_schemeless => (format!("{dir}/{n} one.mp4"), None),
            1 => (format!("{dir}/{n}中.mp4"), None),
            2 if !self.is_schemeless => (format!("{dir}/{n},one.mp4"), None),
            3 => (format!("{dir}/{n}.m3u8"), Some("auth=1&t=2".to_owned())),
            // A path with a percent sign of its own: spelt `%2520`.
            4 => (format!("{dir}/{n}%20one.mp4"), None),
            _ => (format!("{dir}/{n}.mp4"), None),
        };
        // Like the one before but for what must not be overlooked.
        if let Some((before, asked)) = self.taken.last().filter(|_| lot.percent(8)) {
            (path, query) = match lot.below(3) {
                0 => (before.clone(), Some(format!("v={n}"))),
                1 => (before.replace("/m", "/M"), asked.clone()),
                _ => (before.replace(".mp4", "%20.mp4"), asked.clone()),
            };
        }
        if self.taken.contains(&(path.clone(), query.clone())) {
            path = format!("{dir}/{n}-{n}.mp4");
        }
        self.taken.push((path.clone(), query.clone()));
        let host = lot.one_of(&[
            "cdn.example.test",
            "cdn.example.test",
            "cdn.example.test",
            "vod.example.test:8443",
        ]);
        let mut name = Name { spelt: String::new(), host: host.to_owned(), path, query };
        let scheme = if self.is_schemeless { "" } else { lot.one_of(&["https://", "https://", "http://"]) };
        let style = lot.below(4);
        name.spelt = name.spell(lot, scheme, "", style);
        name
    }
}

impl Name {
    /// As another part of the service may spell it.
    pub(super) fn respell(&self, lot: &mut Lot) -> String {
        if lot.percent(50) {
            return self.spelt.clone();
        }
        let scheme = lot.one_of(&["https://", "http://", "https://", "", "HTTPS://"]);
        let port = match (self.host.contains(':'), scheme) {
            (false, "https://") if lot.percent(30) => ":443",
            (false, "http://") if lot.percent(30) => ":80",
            _ => "",
        };
        let style = lot.below(5);
        let mut spelt = self.spell(lot, scheme, port, style);
        if lot.percent(10) {
            spelt.push_str("#t=10");
        }
        spelt
    }

    fn spell(&self, lot: &mut Lot, scheme: &str, port: &str, style: u64) -> String {
        let host = if lot.percent(10) { self.host.to_uppercase() } else { self.host.clone() };
        let mut spelt = format!("{scheme}{host}{port}");
        for c in self.path.chars() {
            let encode = match c {
                '%' | '?' | '#' => true,
                ' ' => style != 1,
                _ if !c.is_ascii() => style >= 2,
                'm' => style == 4,
                _ => false,
            };
            if !encode {
                spelt.push(c);
                continue;
            }
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let code = if style == 3 { format!("%{byte:02x}") } else { format!("%{byte:02X}") };
                spelt.push_str(&code);
            }
        }
        if let Some(query) = &self.query {
            spelt.push('?');
            spelt.push_str(query);
        }
        spelt
    }
}

/// A URL that nobody named, each time another one.
pub(super) fn stranger(lot: &mut Lot) -> String {
    let at = lot.one_of(&["https://cdn.example.test/else", "http://origin.example.test", "/vod"]);
    format!("{at}/x{}.mp4", lot.below(1 << 40))
}

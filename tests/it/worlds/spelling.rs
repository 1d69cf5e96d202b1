//! URLs and their spellings. All spellings of one have the same normal form by the way they are made.

use crate::support::random::Rng;

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

/// What the normal form of a URL is made of: its host with the port, its path, its query.
type Parts = (String, String, Option<String>);

/// Names the URLs of a world, media by media; no two have the same normal form.
pub(super) struct Names {
    is_schemeless: bool,
    taken: Vec<Parts>,
}

impl Names {
    pub(super) fn new(is_schemeless: bool) -> Self {
        Self { is_schemeless, taken: Vec::new() }
    }

    /// The next URL, of this media.
    pub(super) fn draw(&mut self, rng: &mut Rng, media: usize) -> Name {
        let n = self.taken.len();
        let dir = format!("/m{media}");
        let (mut path, mut query) = match rng.below(12) {
            0 if !self.is_schemeless => (format!("{dir}/{n} one.mp4"), None),
            1 => (format!("{dir}/{n}中.mp4"), None),
            2 if !self.is_schemeless => (format!("{dir}/{n},one.mp4"), None),
            3 => (format!("{dir}/{n}.m3u8"), Some("auth=1&t=2".to_owned())),
            // A path with a percent sign of its own: spelt `%2520`.
            4 => (format!("{dir}/{n}%20one.mp4"), None),
            _ => (format!("{dir}/{n}.mp4"), None),
        };
        let mut host = rng
            .one_of(&["cdn.example.test", "cdn.example.test", "cdn.example.test", "vod.example.test:8443"])
            .to_owned();
        // Like the one before, which may be another media's, but for what must not be overlooked.
        if let Some((at, before, asked)) = self.taken.last().filter(|_| rng.percent(8)) {
            (host, path, query) = (at.clone(), before.clone(), asked.clone());
            match rng.below(5) {
                0 => query = Some(format!("v={n}")),
                1 => path = before.replace("/m", "/M"),
                2 => {
                    host = if at.ends_with(":8443") {
                        at.replace(":8443", ":8080")
                    } else {
                        format!("{at}:8080")
                    }
                }
                // Decoded twice, it is the one before.
                3 if before.contains(' ') => path = before.replace(' ', "%20"),
                3 if before.contains('中') => path = before.replace('中', "%E4%B8%AD"),
                3 => path = before.replacen("/m", "/%6D", 1),
                _ => path = before.replace(".mp4", "%20.mp4"),
            }
        }
        if self.taken.contains(&(host.clone(), path.clone(), query.clone())) {
            path = format!("{dir}/{n}-{n}.mp4");
        }
        self.taken.push((host.clone(), path.clone(), query.clone()));
        let mut name = Name { spelt: String::new(), host, path, query };
        let scheme = if self.is_schemeless { "" } else { rng.one_of(&["https://", "https://", "http://"]) };
        let style = rng.below(4);
        name.spelt = name.spell(rng, scheme, "", style);
        name
    }
}

impl Name {
    /// As another part of the service may spell it.
    pub(super) fn respell(&self, rng: &mut Rng) -> String {
        if rng.percent(50) {
            return self.spelt.clone();
        }
        let scheme = rng.one_of(&["https://", "http://", "https://", "", "HTTPS://"]);
        let port = match (self.host.contains(':'), scheme) {
            (false, "https://") if rng.percent(30) => ":443",
            (false, "http://") if rng.percent(30) => ":80",
            _ => "",
        };
        let style = rng.below(5);
        let mut spelt = self.spell(rng, scheme, port, style);
        if rng.percent(10) {
            spelt.push_str("#t=10");
        }
        spelt
    }

    fn spell(&self, rng: &mut Rng, scheme: &str, port: &str, style: u64) -> String {
        let host = if rng.percent(10) { self.host.to_uppercase() } else { self.host.clone() };
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
pub(super) fn foreign_url(rng: &mut Rng) -> String {
    let at = rng.one_of(&["https://cdn.example.test/else", "http://origin.example.test", "/vod"]);
    format!("{at}/x{}.mp4", rng.below(1 << 40))
}

//! Addresses of servers: only as much of a URL as it takes to say whether two lie at one server.

use std::fmt;

/// Where a server is: scheme, host and port. Two are equal when a key that is meant for one may be sent to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    is_tls: bool,
    /// In lower case; an IPv6 address keeps its brackets.
    host: String,
    port: u16,
}

/// The address of an API, such as `http://127.0.0.1:8000/v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    /// Without a slash at the end.
    text: String,
    origin: Origin,
}

impl BaseUrl {
    /// Reads an address: `http` or `https`, a host, perhaps a port and a path, and nothing else.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without what may be secret in it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim().trim_end_matches('/');
        if text.contains(['?', '#']) {
            return Err("has a query or a fragment; a key belongs into an environment variable that key_env names");
        }
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err("has a blank or a control character in it");
        }
        let origin = Origin::of(text)?;
        Ok(Self { text: text.to_owned(), origin })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the address of `path` below this one.
    #[cfg(any(test, feature = "http"))]
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}/{path}", self.text)
    }

    /// Returns the address that `reference` means when this server gives it.
    ///
    /// # Errors
    ///
    /// The other server's address, when it leads away from this one; a word when it is no address.
    #[cfg(any(test, feature = "http"))]
    pub(crate) fn resolve(&self, reference: &str) -> Result<String, String> {
        if reference.contains("://") {
            let origin = Origin::of(reference).map_err(str::to_owned)?;
            return if origin == self.origin { Ok(reference.to_owned()) } else { Err(origin.to_string()) };
        }
        if let Some(rest) = reference.strip_prefix("//") {
            let scheme = if self.origin.is_tls { "https" } else { "http" };
            return self.resolve(&format!("{scheme}://{rest}"));
        }
        // Relative to the host: servers that give a relative address mean one from their root, or one below the API.
        Ok(match reference.strip_prefix('/') {
            Some(rest) => format!("{}/{rest}", self.root()),
            None => self.join(reference),
        })
    }

    #[cfg(any(test, feature = "http"))]
    fn root(&self) -> &str {
        let after_scheme = self.text.find("://").map_or(0, |at| at + 3);
        let end = self.text[after_scheme..].find('/').map_or(self.text.len(), |at| after_scheme + at);
        &self.text[..end]
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Origin {
    fn of(url: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or("has no scheme; expected http:// or https://")?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err("has another scheme than http or https"),
        };
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err("has a user or password in it; a key belongs into an environment variable that key_env names");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| "has a port that is none")?),
            _ => (authority, if is_tls { 443 } else { 80 }),
        };
        if host.is_empty() {
            return Err("has no host");
        }
        Ok(Self { is_tls, host: host.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", if self.is_tls { "https" } else { "http" }, self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_gives_stays_at_the_server() {
        let base = BaseUrl::parse("http://Host:8000/v1/").unwrap();
        assert_eq!(base.join("embeddings"), "http://Host:8000/v1/embeddings");
        assert_eq!(base.resolve("/files/a.png").unwrap(), "http://Host:8000/files/a.png");
        assert_eq!(base.resolve("files/a.png").unwrap(), "http://Host:8000/v1/files/a.png");
        assert_eq!(base.resolve("http://host:8000/x").unwrap(), "http://host:8000/x");
        for elsewhere in
            ["http://host/x", "https://host:8000/x", "//evil/x", "http://host:8000@evil/x", "ftp://host:8000/"]
        {
            assert!(base.resolve(elsewhere).is_err(), "{elsewhere}");
        }
        assert!(base.resolve("http://host:8000\\@evil/").is_ok_and(|url| url.starts_with("http://host:8000")));
        assert_eq!(BaseUrl::parse("https://a").unwrap().resolve("https://a:443/b").unwrap(), "https://a:443/b");
        assert_eq!(BaseUrl::parse("http://[::1]:80/v1").unwrap().root(), "http://[::1]:80");
    }

    #[test]
    fn addresses_hold_no_secrets() {
        for bad in
            ["", "host/v1", "http://", "http://u:p@host", "http://host/v1?key=1", "http://host:99999", "http://a b"]
        {
            assert!(BaseUrl::parse(bad).is_err(), "{bad}");
        }
    }
}

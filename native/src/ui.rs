//! A built web app, such as the dashboard of the Electric Agents server, served from a directory under `/__agent_ui/`.
//!
//! It is files and nothing else: whoever reaches the server gets them, and what they then ask for is authenticated. A path
//! without an extension is the app's own, and gets its first page.

use std::path::{Path, PathBuf};

use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use reveille_core::http::{Refusal, Response, dress};

/// Where the app is.
#[derive(Clone, Debug)]
pub(crate) struct Ui {
    root: PathBuf,
}

impl Ui {
    /// The app in a directory.
    ///
    /// # Errors
    /// When there is no such directory.
    pub(crate) fn of(root: &Path) -> std::io::Result<Self> {
        Ok(Self { root: root.canonicalize()? })
    }

    /// The answer to a request that is for the app; `None` when it is not.
    pub(crate) async fn answer(&self, method: &Method, path: &str) -> Option<Response> {
        let below = if path == "/" { Some("") } else { path.strip_prefix(PREFIX) };
        let below = below.filter(|below| below.is_empty() || below.starts_with('/'))?;
        if method != Method::GET && method != Method::HEAD {
            return None;
        }
        let mut response = if path == "/" {
            Response::empty(StatusCode::FOUND).with("location", format!("{PREFIX}/"))
        } else {
            let (ui, below) = (self.clone(), below.to_owned());
            tokio::task::spawn_blocking(move || ui.file(&below)).await.ok()?
        };
        dress(&mut response, path);
        if method == Method::HEAD {
            let length = response.body.len().to_string();
            response.body.clear();
            response.set("content-length", length);
        }
        Some(response)
    }

    fn file(&self, below: &str) -> Response {
        let Some((file, kind)) = self.find(below) else { return missing() };
        let small = std::fs::metadata(&file).is_ok_and(|meta| meta.is_file() && meta.len() <= LARGEST);
        let Some(body) = small.then(|| std::fs::read(&file).ok()).flatten() else { return missing() };
        let kept = if below.starts_with("/assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
        let response = Response { body, ..Response::empty(StatusCode::OK) };
        response.with("content-type", kind).with("cache-control", kept)
    }

    /// The file of a path, within the directory, and its type.
    fn find(&self, below: &str) -> Option<(PathBuf, &'static str)> {
        let decoded = percent_decode_str(below).decode_utf8().ok()?;
        let segments: Vec<&str> = decoded.split('/').filter(|segment| !segment.is_empty()).collect();
        let plain = |segment: &&str| *segment != "." && *segment != ".." && !segment.contains(['\\', '\0', ':']);
        if !segments.iter().all(plain) {
            return None;
        }
        let is_page = decoded.ends_with('/') || segments.last().is_none_or(|name| !name.contains('.'));
        let wanted = segments.iter().fold(self.root.clone(), |path, segment| path.join(segment));
        let file = if is_page && !wanted.is_file() { self.root.join("index.html") } else { wanted };
        // A link that leads out of the directory leads nowhere.
        let file = file.canonicalize().ok().filter(|file| file.starts_with(&self.root))?;
        let kind = kind(file.extension().and_then(|extension| extension.to_str()).unwrap_or(""));
        Some((file, kind))
    }
}

fn missing() -> Response {
    Refusal::new(StatusCode::NOT_FOUND, "AGENT_UI_NOT_FOUND", "Agent UI build artifacts are missing").response()
}

fn kind(extension: &str) -> &'static str {
    match extension {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "ico" => "image/x-icon",
        _ => "application/octet-stream",
    }
}

/// Where the app is served.
const PREFIX: &str = "/__agent_ui";
/// The longest file that is served.
const LARGEST: u64 = 64 << 20;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn app() -> (tempfile::TempDir, Ui) {
        let outer = tempfile::tempdir().unwrap();
        std::fs::write(outer.path().join("secret.txt"), "secret").unwrap();
        let root = outer.path().join("app");
        std::fs::create_dir_all(root.join("assets")).unwrap();
        std::fs::write(root.join("index.html"), "<p>").unwrap();
        std::fs::write(root.join("assets/a.js"), "1").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(outer.path().join("secret.txt"), root.join("link.txt")).unwrap();
        let ui = Ui::of(&root).unwrap();
        (outer, ui)
    }

    #[tokio::test]
    async fn files_are_served_and_pages_are_the_first_one() {
        let (_directory, ui) = app();
        for (path, body, kind, kept) in [
            ("/__agent_ui", "<p>", "text/html; charset=utf-8", "no-cache"),
            ("/__agent_ui/", "<p>", "text/html; charset=utf-8", "no-cache"),
            ("/__agent_ui/some/page", "<p>", "text/html; charset=utf-8", "no-cache"),
            ("/__agent_ui/some/page/", "<p>", "text/html; charset=utf-8", "no-cache"),
            ("/__agent_ui/assets/a.js", "1", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ] {
            let answer = ui.answer(&Method::GET, path).await.unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (StatusCode::OK, body.as_bytes()), "{path}");
            assert_eq!(answer.headers["content-type"], kind, "{path}");
            assert_eq!(answer.headers["cache-control"], kept, "{path}");
            let head = ui.answer(&Method::HEAD, path).await.unwrap();
            assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
        }
        let home = ui.answer(&Method::GET, "/").await.unwrap();
        assert_eq!(home.status, StatusCode::FOUND);
        assert_eq!(home.headers["location"], "/__agent_ui/");
    }

    #[tokio::test]
    async fn nothing_outside_is_served() {
        let (_directory, ui) = app();
        for path in [
            "/__agent_ui/none.js",
            "/__agent_ui/../secret.txt",
            "/__agent_ui/%2e%2e/secret.txt",
            "/__agent_ui/..%2fsecret.txt",
            "/__agent_ui/..%5csecret.txt",
            "/__agent_ui/link.txt",
            "/__agent_ui/assets/a.js%00.html",
            "/__agent_ui/%ff",
        ] {
            let answer = ui.answer(&Method::GET, path).await.unwrap();
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            assert!(String::from_utf8_lossy(&answer.body).contains("AGENT_UI_NOT_FOUND"), "{path}");
        }
        for (method, path) in [(Method::POST, "/__agent_ui/"), (Method::GET, "/__agent_uix"), (Method::GET, "/a")] {
            assert!(ui.answer(&method, path).await.is_none(), "{method} {path}");
        }
    }
}

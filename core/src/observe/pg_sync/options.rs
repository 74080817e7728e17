//! What a shape is: the options by which a caller names it, the name that follows from them, and the URL at which it is
//! asked (control plane, section 13).

use http::StatusCode;
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde_json::{Value as Json, json};

use super::super::reference::{fnv64, object};
use crate::entity::validate;
use crate::http::{Body, Refusal, failure};
use crate::limits::SHAPE_URL;
use crate::tenant::Principal;
use crate::tenant::principal::COMPONENT;

failure! {
    /// A member is blank.
    Blank { name: &'static str } => BAD_REQUEST "INVALID_REQUEST", "pgSync {name} must be non-empty"
}

failure! {
    /// The URL is none.
    NotAUrl { url: String } => BAD_REQUEST "INVALID_REQUEST", "pgSync url \"{url}\" is not a valid URL"
}

failure! {
    /// The URL is of something else than a shape.
    NotHttp { url: String } => BAD_REQUEST "INVALID_REQUEST",
    "pgSync url \"{url}\" must be an HTTP(S) Electric shape endpoint, not a database connection string"
}

/// A shape as a caller names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    url: String,
    table: String,
    columns: Option<Vec<String>>,
    r#where: Option<String>,
    params: Option<Params>,
    replica: String,
    /// What the shape's server is told of the caller, by name.
    metadata: Vec<(&'static str, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Params {
    List(Vec<String>),
    /// By name, as a JavaScript object has them.
    Map(Vec<(String, String)>),
}

impl Options {
    /// Reads a body. What the server knows of its caller, the caller cannot say otherwise.
    pub(super) fn of(body: &Body<'_>, by: &Principal) -> Result<Self, Refusal> {
        body.require("options");
        for (name, form) in [("options", OPTIONS), ("metadata", METADATA)] {
            for (path, message) in body.raw(name).map(|raw| validate::form(form, raw)).unwrap_or_default() {
                body.complain(format!("/{name}{path}"), message);
            }
        }
        body.check()?;
        let options = body.json("options").unwrap_or_default();
        let given = body.json("metadata").unwrap_or_default();
        body.check()?;
        let text = |name: &str| options[name].as_str().map(str::to_owned);
        let (url, table) = (text("url").unwrap_or_default(), text("table").unwrap_or_default());
        for (name, value) in [("url", &url), ("table", &table)] {
            if value.trim().is_empty() {
                return Err(Blank { name }.into());
            }
        }
        let columns = options["columns"].as_array().map(|all| strings(all.iter()));
        let params = match &options["params"] {
            Json::Array(all) => Some(Params::List(strings(all.iter()))),
            Json::Object(all) => Some(Params::Map(object(all.iter().map(|(k, v)| (k.clone(), owned(v)))))),
            _ => None,
        };
        let asked = [&given, &options["metadata"]];
        let metadata = metadata(by, &asked);
        let replica = text("replica").unwrap_or_else(|| "default".to_owned());
        Ok(Self {
            url: trimmed(&url)?,
            table: table.trim().to_owned(),
            columns,
            r#where: text("where"),
            params,
            replica,
            metadata,
        })
    }

    /// The entity for which the shape is followed, if the caller says.
    pub(super) fn entity(&self) -> Option<&str> {
        self.metadata.iter().find(|(name, _)| *name == "entityUrl").map(|(_, url)| url.as_str())
    }

    /// The URL without what may be secret in it, to be shown.
    pub(super) fn shown(&self) -> &str {
        self.url.split('?').next().unwrap_or_default()
    }

    /// Where such services usually are on the URL's host.
    pub(super) fn usual(&self) -> String {
        let after = self.url.find("://").map_or(0, |at| at + 3);
        let end = self.url[after..].find(['/', '?']).map_or(self.url.len(), |at| after + at);
        format!("{}/v1/shape", &self.url[..end])
    }

    /// The name of the shape's stream: of what is the same for all who follow it for the same reason.
    pub(super) fn reference(&self) -> String {
        let mut identity = vec![format!("\"url\":{}", json!(self.url)), format!("\"table\":{}", json!(self.table))];
        if let Some(columns) = &self.columns {
            identity.push(format!("\"columns\":{}", json!(columns)));
        }
        if let Some(condition) = &self.r#where {
            identity.push(format!("\"where\":{}", json!(condition)));
        }
        match &self.params {
            Some(Params::List(list)) => identity.push(format!("\"params\":{}", json!(list))),
            Some(Params::Map(map)) => identity.push(format!("\"params\":{}", written(map))),
            None => {}
        }
        identity.push(format!("\"replica\":{}", json!(self.replica)));
        let lasting: Vec<_> = self.metadata.iter().filter(|(name, _)| !PASSING.contains(name)).collect();
        if !lasting.is_empty() {
            let mut lasting: Vec<_> = lasting.into_iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
            lasting.sort();
            identity.push(format!("\"metadata\":{}", written(&lasting)));
        }
        fnv64(&format!("{{{}}}", identity.join(",")))
    }

    /// The URL at which the shape is asked, but for where it goes on: its own query, and what defines the shape.
    pub(super) fn request(&self) -> Result<String, Refusal> {
        let mut own: Vec<(String, String)> = vec![("table".to_owned(), self.table.clone())];
        if let Some(columns) = self.columns.as_ref().filter(|columns| !columns.is_empty()) {
            own.push(("columns".to_owned(), columns.iter().map(|c| column(c)).collect::<Vec<_>>().join(",")));
        }
        if let Some(condition) = &self.r#where {
            own.push(("where".to_owned(), condition.clone()));
        }
        match &self.params {
            Some(Params::List(list)) => {
                own.extend(list.iter().enumerate().map(|(i, value)| (format!("params[{}]", i + 1), value.clone())));
            }
            Some(Params::Map(map)) => {
                own.extend(map.iter().map(|(key, value)| (format!("params[{key}]"), value.clone())))
            }
            None => {}
        }
        own.push(("replica".to_owned(), self.replica.clone()));
        for (name, value) in self.metadata.iter().filter(|(_, value)| !value.is_empty()) {
            own.push((format!("electric_agents_{}", snake(name)), value.clone()));
        }
        let (path, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        // Its own query stays, but for what is ours to say.
        let is_ours = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default().replace('+', " ");
            let name = percent_decode_str(&name).decode_utf8_lossy().into_owned();
            OURS.contains(&name.as_str()) || own.iter().any(|(own, _)| *own == name)
        };
        let kept = query.split('&').filter(|pair| !pair.is_empty() && !is_ours(pair)).map(str::to_owned);
        let own = own.iter().map(|(name, value)| {
            format!("{}={}", utf8_percent_encode(name, COMPONENT), utf8_percent_encode(value, COMPONENT))
        });
        let url = format!("{path}?{}", kept.chain(own).collect::<Vec<_>>().join("&"));
        if url.len() > SHAPE_URL {
            let message = format!("what defines the shape makes a URL of more than {SHAPE_URL} bytes");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message));
        }
        Ok(url)
    }
}

/// What is said of the caller: by the server, by the body, by the options, in this order.
fn metadata(by: &Principal, asked: &[&Json]) -> Vec<(&'static str, String)> {
    let known = [
        ("tenantId", TENANT.to_owned()),
        ("principalKind", by.kind().to_owned()),
        ("principalId", by.id().to_owned()),
        ("principalKey", by.key()),
        ("principalUrl", by.url()),
    ];
    let said =
        ["entityUrl", "entityType", "streamPath", "runtimeConsumerId", "wakeId"].into_iter().filter_map(|name| {
            let value = asked.iter().find_map(|of| of[name].as_str())?;
            Some((name, value.to_owned()))
        });
    known.into_iter().chain(said).collect()
}

/// A URL without its fragment, if it is one at which a shape can be.
fn trimmed(url: &str) -> Result<String, Refusal> {
    let url = url.trim().split('#').next().unwrap_or_default();
    let shown = || url.split('?').next().unwrap_or_default().to_owned();
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let scheme = url.split_once(':').map(|(scheme, _)| scheme).filter(|s| !s.is_empty() && s.chars().all(is_letter));
    let Some(scheme) = scheme else { return Err(NotAUrl { url: shown() }.into()) };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        // A connection string has a password in front of its host.
        return Err(NotHttp { url: format!("{scheme}:…") }.into());
    }
    if url.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty())) {
        return Ok(url.to_owned());
    }
    Err(NotAUrl { url: shown() }.into())
}

/// A column's name as the shape protocol spells it: quoted, unless it is the same without.
fn column(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_plain = name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty();
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// `camelCase` as `snake_case`.
fn snake(name: &str) -> String {
    name.chars().fold(String::new(), |mut snake, c| {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        snake
    })
}

fn strings<'a>(all: impl Iterator<Item = &'a Json>) -> Vec<String> {
    all.map(owned).collect()
}

fn owned(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A JSON object of strings.
fn written(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{}:{}", json!(key), json!(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

/// What the wire calls the one tenant of an engine.
pub(super) const TENANT: &str = "default";

/// What is said of the caller but names no other shape.
const PASSING: [&str; 3] = ["wakeId", "runtimeConsumerId", "streamPath"];

/// What a question for changes says.
const OURS: [&str; 5] = ["offset", "handle", "live", "cursor", "log"];

const OPTIONS: &str = r#"{"type":"object","required":["url","table"],"properties":{
    "url":{"type":"string"},"table":{"type":"string"},
    "columns":{"type":"array","items":{"type":"string"}},"where":{"type":"string"},
    "params":{"anyOf":[{"type":"array","items":{"type":"string"}},{"type":"object","additionalProperties":{"type":"string"}}]},
    "replica":{"anyOf":[{"const":"default"},{"const":"full"}]}}}"#;

const METADATA: &str = r#"{"type":"object","properties":{"entityUrl":{"type":"string"},"entityType":{"type":"string"},
    "streamPath":{"type":"string"},"runtimeConsumerId":{"type":"string"},"wakeId":{"type":"string"}}}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Request;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn options(body: &Json, by: &str) -> Result<Options, Refusal> {
        let request = Request {
            method: http::Method::POST,
            path: String::new(),
            query: String::new(),
            headers: http::HeaderMap::new(),
            body: body.to_string().into_bytes(),
            by: None,
            origin: None,
        };
        Options::of(&Body::of(&request)?, &Principal::parse(by).expect("a principal"))
    }

    #[test]
    fn names_of_the_specification() {
        let body = json!({
            "options": { "url": "http://localhost:3000/v1/shape", "table": "todos", "columns": ["id", "text"],
                "where": "id > $1", "params": ["5"], "replica": "full" },
            "metadata": { "entityType": "horton", "entityUrl": "/horton/a", "wakeId": "w", "streamPath": "/s" },
        });
        assert_eq!(options(&body, "user:alice").expect("valid").reference(), "7d0d3c5dac306ead");
        let body = json!({
            "options": { "url": "http://e/v1/shape", "table": "t", "columns": ["b", "a"], "where": "x=1",
                "params": { "2": "z", "1": "y" } },
            "metadata": { "entityUrl": "/a/b", "principalUrl": "/principal/system%3Adev-local", "tenantId": "other" },
        });
        assert_eq!(options(&body, "user:bob").expect("valid").reference(), "56cd42cd0e14e913");
        // Without anybody, which no caller is.
        let nobody = Options {
            metadata: Vec::new(),
            ..options(&json!({ "options": { "url": "http://localhost:3000/v1/shape", "table": "todos" } }), "user:a")
                .expect("valid")
        };
        assert_eq!(nobody.reference(), "3d32f3c1db6af270");
    }

    #[test]
    fn the_url_keeps_its_own_query_and_says_what_defines_the_shape() {
        let body = json!({ "options": { "url": "https://e/v1/shape?secret=a%20b&table=x&offset=-1&live#f", "table": "Todos",
            "columns": ["id", "Na\"me", "a b"], "where": "a = 'é'", "params": { "1": "x&y" } }, "metadata": { "wakeId": "" } });
        let url = options(&body, "user:bob").expect("valid").request().expect("short");
        assert_eq!(
            url,
            "https://e/v1/shape?secret=a%20b&table=Todos&columns=id%2C%22Na%22%22me%22%2C%22a%20b%22\
             &where=a%20%3D%20'%C3%A9'&params%5B1%5D=x%26y&replica=default&electric_agents_tenant_id=default\
             &electric_agents_principal_kind=user&electric_agents_principal_id=bob\
             &electric_agents_principal_key=user%3Abob&electric_agents_principal_url=%2Fprincipal%2Fuser%253Abob"
        );
        let long = json!({ "options": { "url": "https://e/", "table": "t", "where": "x".repeat(SHAPE_URL) } });
        assert!(options(&long, "user:bob").expect("valid").request().is_err());
    }

    #[test]
    fn what_is_no_shape_is_refused_by_name() {
        let with = |url: &str, table: &str| options(&json!({ "options": { "url": url, "table": table } }), "user:a");
        for (url, table, why) in [
            (" ", "t", "pgSync url must be non-empty"),
            ("http://e", "", "pgSync table must be non-empty"),
            ("nonsense", "t", "pgSync url \"nonsense\" is not a valid URL"),
            ("http://", "t", "pgSync url \"http://\" is not a valid URL"),
            ("http://a b/?secret=s", "t", "pgSync url \"http://a b/\" is not a valid URL"),
            (
                "postgres://me:s3cret@db/app",
                "t",
                "pgSync url \"postgres:…\" must be an HTTP(S) Electric shape endpoint, not a database connection string",
            ),
        ] {
            assert_eq!(with(url, table).expect_err(url).message, why);
        }
        let complaints = |body: Json| options(&body, "user:a").expect_err("refused").details.expect("details");
        assert_eq!(complaints(json!({})).as_array().expect("a list").len(), 1);
        assert!(complaints(json!({ "options": { "url": 7 } })).to_string().contains("/options/url"));
        let bad = json!({ "options": { "url": "u", "table": "t", "params": [1] }, "metadata": { "wakeId": 1 } });
        assert!(complaints(bad).to_string().contains("/metadata/wakeId"));
    }

    #[test]
    fn the_usual_place_is_on_the_same_host() {
        let usual =
            |url: &str| options(&json!({ "options": { "url": url, "table": "t" } }), "user:a").expect("valid").usual();
        assert_eq!(usual("http://e:3000"), "http://e:3000/v1/shape");
        assert_eq!(usual("http://e:3000/x?y"), "http://e:3000/v1/shape");
    }
}

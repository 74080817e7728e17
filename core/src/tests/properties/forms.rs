//! Forms: what was written is read, and whatever else comes is refused without harm.

use proptest::prelude::*;

use super::check;
use crate::http::multipart::{Form, boundary};

/// Bytes that look much like a form.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"--".to_vec()),
        Just(b"--b".to_vec()),
        Just(b"--b--".to_vec()),
        Just(b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n".to_vec()),
        Just(b"Content-Disposition: form-data; name=\"".to_vec()),
        Just(b"; filename*=UTF-8''%".to_vec()),
        Just(b"\"; filename=\"".to_vec()),
        Just(b":;=".to_vec()),
        prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A form as clients write it.
fn written(fields: &[(String, Option<String>, Vec<u8>)]) -> Vec<u8> {
    let escape = |name: &str| name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let mut body = Vec::new();
    for (name, filename, bytes) in fields {
        let file = filename.as_ref().map_or(String::new(), |name| format!("; filename=\"{}\"", escape(name)));
        body.extend(format!("--b\r\nContent-Disposition: form-data; name=\"{}\"{file}\r\n\r\n", escape(name)).bytes());
        body.extend(bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--b--\r\n");
    body
}

#[test]
fn what_is_written_is_read() {
    // A name that holds an escape already comes back as what that means, in every server.
    let name = any::<String>().prop_filter("no escapes", |name| !name.contains('%') && name.len() < 200);
    let bytes = noise().prop_filter("no boundary", |bytes| !bytes.windows(3).any(|w| w == b"--b"));
    let field = (name.clone(), prop::option::of(name), bytes);
    check(400, &prop::collection::vec(field, 0..6), |fields| {
        let body = written(&fields);
        let form = Form::of("b", &body);
        prop_assert!(form.is_some());
        let form = form.expect("a form");
        for (name, ..) in &fields {
            let (_, filename, bytes) = fields.iter().find(|(first, ..)| first == name).expect("itself");
            let file = form.file(name).map(|part| (part.filename.clone(), part.bytes.to_vec()));
            prop_assert_eq!(file, filename.clone().map(|filename| (Some(filename), bytes.clone())));
            let text = filename.is_none().then(|| String::from_utf8_lossy(bytes).into_owned());
            prop_assert_eq!(form.text(name).map(|text| text.into_owned()), text);
        }
        Ok(())
    });
}

#[test]
fn whatever_comes_ends_in_an_answer() {
    check(2_000, &(noise(), any::<String>()), |(bytes, content_type)| {
        if let Some(form) = Form::of("b", &bytes) {
            prop_assert!(form.text("a").is_none_or(|text| text.len() <= 3 * bytes.len()));
        }
        boundary(&content_type);
        boundary(&format!("multipart/form-data;{content_type}"));
        Ok(())
    });
}

//! Hashes of passwords: made here, known by `Basic`, and verified by themselves.

use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use ziggurat::layers::basic::{BasicLayer, KnownUser, PasswordError, hash_password, needs_rehash, verify_password};
use ziggurat::{Request, Response};

use crate::support::get;

/// Of "open sesame", by the reference implementation.
const CHEAP: &str = "$argon2id$v=19$m=64,t=1,p=1$c29tZSBzYWx0IGhlcmU$vPQGMfVAsSfwD1fZxAtbczTXuZaGoKkxHDNYBzi7TYc";

#[tokio::test]
async fn basic_knows_what_is_hashed() {
    let password = "pässword: 🗝";
    let user = KnownUser::new("ann", &hash_password(password).unwrap()).unwrap();
    let layer = BasicLayer::new([user]).unwrap();
    for (sent, status) in [(password, 200), ("pässword", 401)] {
        let inner = service_fn(|_: Request| async { Ok::<Response, std::convert::Infallible>(Response::default()) });
        let request = get("/", &[("authorization", &crate::basic::sent("ann", sent))]);
        assert_eq!(layer.layer(inner).oneshot(request).await.unwrap().status(), status);
    }
}

#[test]
fn a_hash_is_of_one_password_and_has_a_salt_of_its_own() {
    let (one, two) = (hash_password("open sesame").unwrap(), hash_password("open sesame").unwrap());
    assert_ne!(one, two);
    assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
    for hash in [&*one, &*two, CHEAP] {
        assert_eq!(verify_password("open sesame", Some(hash)), Ok(true));
        for other in ["", "open", "Open sesame", "open sesame\0", &"o".repeat(2000)] {
            assert_eq!(verify_password(other, Some(hash)), Ok(false));
        }
    }
    // Nobody has a password, not even an empty one.
    assert_eq!(verify_password("", None), Ok(false));
    assert_eq!(hash_password("o".repeat(1024)).map(|_| ()), Ok(()));
    assert_eq!(hash_password("o".repeat(1025)), Err(PasswordError::TooLong));
}

#[test]
fn what_is_no_hash_is_told_without_showing_it() {
    let other = CHEAP.replace("argon2id", "argon2i");
    let bcrypt = "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW";
    for (hash, error) in [
        ("open sesame", PasswordError::NoPhc),
        (bcrypt, PasswordError::NoPhc),
        (&*other, PasswordError::OtherAlgorithm),
        (CHEAP.rsplit_once('$').unwrap().0, PasswordError::Incomplete),
    ] {
        assert_eq!(verify_password("open sesame", Some(hash)), Err(error));
        assert!(!error.to_string().contains("sesame"));
        assert!(needs_rehash(hash), "{hash}");
    }
}

#[test]
fn weaker_hashes_are_to_be_made_anew_and_stronger_ones_stay() {
    let tail = "$c29tZSBzYWx0IGhlcmUhIQ$vPQGMfVAsSfwD1fZxAtbczTXuZaGoKkxHDNYBzi7TYc";
    for (parameters, is_weak) in [
        ("v=19$m=19456,t=2,p=1", false),
        ("v=19$m=65536,t=3,p=4", false),
        ("v=19$m=47104,t=1,p=1", false),
        ("v=19$m=19456,t=1,p=1", true),
        ("v=19$m=9216,t=2,p=1", true),
        ("v=16$m=19456,t=2,p=1", true),
    ] {
        assert_eq!(needs_rehash(&format!("$argon2id${parameters}{tail}")), is_weak, "{parameters}");
    }
    assert!(needs_rehash(CHEAP));
    // A short salt, a short hash.
    assert!(needs_rehash(&format!("$argon2id$v=19$m=19456,t=2,p=1${}", &CHEAP[CHEAP.find("c29t").unwrap()..])));
    assert!(needs_rehash("$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0IGhlcmUhIQ$vPQGMfVAsSfwD1fZxAtbcw"));
}

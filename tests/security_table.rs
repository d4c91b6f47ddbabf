//! SECURITY.md names tests; this holds it to that.

use std::{fs, path::Path};

#[test]
fn every_test_that_the_security_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("SECURITY.md")).expect("SECURITY.md");
    let mut sources = String::new();
    read(&root.join("src"), &mut sources);
    read(&root.join("tests"), &mut sources);

    let names = document.split('`').skip(1).step_by(2).filter(|name| {
        name.matches('_').count() >= 3 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    });
    let missing: Vec<&str> = names.filter(|name| !sources.contains(&format!("fn {name}("))).collect();

    assert_eq!(missing, [""; 0]);
}

fn read(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}

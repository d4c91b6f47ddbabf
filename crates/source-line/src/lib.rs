#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

/// A line of the source code.
#[derive(Debug)]
pub struct SourceLine {
    /// The file, from the root of the package.
    pub path: &'static str,
    /// The number of the line. The first one is 1.
    pub line: usize,
    /// The address of the repository, or an empty string.
    pub repository: &'static str,
}

impl SourceLine {
    /// Returns a link to the line on a site such as GitHub, if `Cargo.toml` names the repository.
    pub fn url(&self) -> Option<String> {
        let Self { path, line, repository } = self;
        (!repository.is_empty()).then(|| format!("{repository}/blob/HEAD/{path}#L{line}"))
    }
}

/// Finds the first line of a file that contains a text. Panics if there is none.
#[macro_export]
macro_rules! source_line {
    ($path:literal, $text:literal) => {{
        let mut lines = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path)).lines();
        let line = 1 + lines.position(|line| line.contains($text)).expect("the file contains the text");
        $crate::SourceLine { path: $path, line, repository: env!("CARGO_PKG_REPOSITORY") }
    }};
}

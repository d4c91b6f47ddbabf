//! Reading the count in a page.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// The number in the element whose id is `visits`.
pub fn visits(page: &[u8]) -> Option<u64> {
    static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"id=\"visits\">"));
    let begin = MARK.find(page)? + MARK.needle().len();
    let digits = page[begin..].iter().take_while(|byte| byte.is_ascii_digit());
    let number = digits.fold(None, |number: Option<u64>, digit| {
        number.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    });
    number.filter(|_| page[begin..].contains(&b'<'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_the_page() {
        assert_eq!(visits(b"<p>Here <b><span id=\"visits\">1204</span> times"), Some(1204));
        assert_eq!(visits(b"<b id=\"visits\">7</b>"), Some(7));
    }

    #[test]
    fn a_page_without_a_count_has_none() {
        assert_eq!(visits(b"<h1>Welcome.</h1>"), None);
        assert_eq!(visits(b"<b id=\"visits\"></b>"), None);
    }
}

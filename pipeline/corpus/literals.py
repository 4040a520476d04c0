"""Characters that look like markup and are text, as those of &lt; and <nowiki>: kept in a private area of Unicode until the end."""

_LITERAL = {code: 0xF0000 + code for code in range(0x21, 0x7F) if not chr(code).isalnum()}
_PLAIN = {private: code for code, private in _LITERAL.items()}
PRIVATE = "\U000f0000-\U000f00ff"  # a range for a regular expression; the input has no such characters


def literal(text: str) -> str:
    """Text whose characters are no markup, whatever they look like."""
    return text.translate(_LITERAL)


def plain(text: str) -> str:
    """The text with its literal characters as they look."""
    return text.translate(_PLAIN)

// Python's view of text: white space, case, and places counted in characters. Texts are valid
// UTF-8. Case is Unicode's simple mapping, one character for one; of those that Python makes two
// of, only German sharp s is.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace troupe::kernels::chat {

bool is_space(char32_t code);      // str.isspace
bool is_printable(char32_t code);  // what repr() shows as it is
bool is_upper(char32_t code);
bool is_lower(char32_t code);
bool is_cased(char32_t code);
bool is_letter(char32_t code);
bool is_decimal(char32_t code);
bool is_word(char32_t code);  // \w
char32_t to_upper(char32_t code);
char32_t to_lower(char32_t code);
char32_t to_title(char32_t code);

std::u32string codes_of(std::string_view text);
std::string text_of(std::u32string_view codes);
std::size_t count_characters(std::string_view text);
// The byte where the character begins; the text's size for the character past the last.
std::size_t byte_of(std::string_view text, std::size_t character);

std::string_view strip_left(std::string_view text);
std::string_view strip_right(std::string_view text);
std::string_view strip_left(std::string_view text, std::string_view characters);
std::string_view strip_right(std::string_view text, std::string_view characters);

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalize(std::string_view text);
std::string title(std::string_view text);  // str.title: each run of letters

// Where `part` begins at or after `from`; npos where it does not. Linear in both.
std::size_t find_part(std::string_view text, std::string_view part, std::size_t from = 0);
std::size_t find_last_part(std::string_view text, std::string_view part);

// As str.splitlines(), line by line, without their ends; no empty line after the last end.
void split_lines(std::string_view text, bool keep_ends,
                 const std::function<void(std::string_view)>& tell);

}  // namespace troupe::kernels::chat

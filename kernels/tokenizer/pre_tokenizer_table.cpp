#include "kernels/tokenizer/pre_tokenizer_table.hpp"

namespace troupe::kernels {
namespace {

using texts = std::string_view[];

// Pieces that several rows share.
#define CONTRACTION R"('(?:[sSdDmMtT]|[rR][eE]|[vV][eE]|[lL][lL]))"
#define WORD R"([^\r\n\p{L}\p{N}]?\p{L}+)"
#define SIGNS R"( ?[^\s\p{L}\p{N}]+[\r\n]*)"
#define LINES R"(\s*[\r\n]+)"
#define SPACES R"(\s+(?!\S)|\s+)"
// Words that go over from capitals to small letters where ASCII shows it: "HelloWorld" is two.
#define CASED_WORD(UPPER, LOWER)                                 \
  R"([^\r\n\p{L}\p{N}]?[)" UPPER "]*[" LOWER "]+(?:" CONTRACTION \
  ")?|"                                                          \
  R"([^\r\n\p{L}\p{N}]?[)" UPPER "]+[" LOWER "]*(?:" CONTRACTION ")?"
#define SIGNS_AND_SLASH R"( ?[^\s\p{L}\p{N}]+[\r\n/]*)"
#define DEEPSEEK_WORD \
  R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"

constexpr std::string_view gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|)" SPACES;
constexpr std::string_view qwen2_pattern =
    CONTRACTION "|" WORD R"(|\p{N}|)" SIGNS "|" LINES "|" SPACES;
constexpr std::string_view kana_and_han =
    R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
// Unified ideographs, U+0800 to U+4E00 without its white space, and Hangul.
constexpr std::string_view deepseek_scripts =
    R"([\x{0800}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E}\x{2030}-\x{205E})"
    R"(\x{2060}-\x{2FFF}\x{3001}-\x{9FA5}\x{AC00}-\x{D7FF}]+)";

constexpr texts gpt2 = {gpt2_pattern};
constexpr texts llama3 = {CONTRACTION "|" WORD R"(|\p{N}{1,3}|)" SIGNS "|" LINES "|" SPACES};
constexpr texts qwen2 = {qwen2_pattern};
constexpr texts qwen35 = {
    CONTRACTION R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" LINES
                "|" SPACES};
constexpr texts falcon = {R"([\p{P}$+<=>^~|`]+)", gpt2_pattern, "[0-9][0-9][0-9]"};
constexpr texts starcoder = {R"(\p{N})", gpt2_pattern};
constexpr texts plain_default = {R"([\p{P}$+<=>^~|]+)", gpt2_pattern, R"(\p{N}+)",
                                 "[0-9][0-9][0-9]"};
constexpr texts deepseek_llm = {
    R"([\r\n])",
    R"(\s?[A-Za-z\x{00B5}\x{00C0}-\x{00D6}\x{00D8}-\x{00F6}\x{00F8}-\x{01BA}\x{01BC}-\x{01BF})"
    R"(\x{01C4}-\x{0293}\x{0295}-\x{02AF}\x{0370}-\x{0373}\x{0376}\x{0377}\x{037B}-\x{037D})"
    R"(\x{037F}\x{0386}\x{0388}-\x{038A}\x{038C}\x{038E}-\x{03A1}\x{03A3}-\x{03F5})"
    R"(\x{03F7}-\x{0481}\x{048A}-\x{052F}\x{0531}-\x{0556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5})"
    R"(\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77})"
    R"(\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D})"
    R"(\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4})"
    R"(\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3})"
    R"(\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107})"
    R"(\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D})"
    R"(\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184})"
    R"(\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D})"
    R"(\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF})"
    R"(\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F})"
    R"(\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2})"
    R"(\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]+)",
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3001}-\x{3002}]+)",
    R"((?<!\s)\s+$)",  // the look-behind: a long run of spaces is tried at its front alone
    deepseek_scripts,
    R"(\p{N}+)"};
constexpr texts deepseek_coder = {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", deepseek_scripts,
                                  R"(\p{N})"};
constexpr texts deepseek_v3 = {R"(\p{N}{1,3})", kana_and_han,
                               DEEPSEEK_WORD R"(| ?[\p{P}\p{S}]+[\r\n]*|)" LINES "|" SPACES};
constexpr texts spark = {R"(\p{N}{1,3})", kana_and_han,
                         DEEPSEEK_WORD R"(| ?[\p{P}\p{S}]+|[\r\n]|)" SPACES, R"(\p{N})"};
constexpr texts youtu = {
    R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019})"
    R"(\x{2014}\x{FF1A}\x{FF1B}\x{FF0C}\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}])"
    R"(+|[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)",
    R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+(?:)" CONTRACTION R"()?|\p{N}|)" SIGNS_AND_SLASH "|" LINES
    "|" SPACES};
constexpr texts bloom = {
    R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{0964}\x{06D4}\x{060C})]+)"};
constexpr texts viking = {
    R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{0964}\x{06D4}\x{060C})]+)", R"(\p{N})"};
constexpr texts tekken = {
    R"([^\r\n\p{L}\p{N}]?[A-Z\p{La}]*[a-z\p{La}]+|[^\r\n\p{L}\p{N}]?[A-Z\p{La}]+[a-z\p{La}]*)"
    R"(|\p{N}|)" SIGNS_AND_SLASH "|" LINES "|" SPACES};
constexpr texts gpt4o = {CASED_WORD(
    R"(A-Z\p{La})", R"(a-z\p{La})") R"(|\p{N}{1,3}|)" SIGNS_AND_SLASH "|" LINES "|" SPACES};
constexpr texts granite_multi = {
    CASED_WORD(R"(A-Z\p{La}\p{M})", R"(a-z\p{La}\p{M})") R"(|\p{N}{1,3}|)" SIGNS_AND_SLASH "|" LINES
                                                         "|" SPACES};
constexpr texts chameleon = {"<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z",       R"([\t\n]|    |  )",
                             R"(\p{N})",          R"([\p{P}!-/:-@\[-`{-~])", gpt2_pattern};
// The look-behind lets a run of white space be searched for its last line end once, not at every
// step through it.
constexpr texts jais2 = {
    CONTRACTION
    "|" WORD R"(|\p{N}{1,3}|)" SIGNS R"(|(?<![\t\x0B\x0C \p{White}])\s*[\r\n]+)"
    R"(|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S))"
    R"(|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s)"};
constexpr texts bailing = {CONTRACTION "|" WORD R"(|\p{N}|)" SIGNS R"(|\s*[\r\n]|)" SPACES};
constexpr texts seed_coder = {CONTRACTION "|" WORD R"(|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|)" LINES
                                          "|" SPACES};
constexpr texts ufakzeka = {WORD R"(|\p{N}|)" SIGNS "|" LINES "|" SPACES};
constexpr texts laguna = {R"([^\n]+|[\n]+)", qwen2_pattern};
constexpr texts minicpm5 = {R"(\p{N}{1,3})",
                            CONTRACTION "|" WORD R"(|\p{N}+|)" SIGNS "|" LINES "|" SPACES};
// Words joined by single spaces stay together.
constexpr texts exaone_moe = {
    CONTRACTION
    R"(|[^\r\n\p{L}\p{N}]?\p{L}(?:[\p{L}\p{M}]++| (?=\p{L}))*+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?)"
    R"(|\s*[\r\n]|)" SPACES};

#undef CONTRACTION
#undef WORD
#undef SIGNS
#undef LINES
#undef SPACES
#undef CASED_WORD
#undef SIGNS_AND_SLASH
#undef DEEPSEEK_WORD

constexpr texts default_names = {"default"};
constexpr texts gpt2_names = {"gpt-2",      "phi-2",        "mpt",         "olmo",
                              "jais",       "trillion",     "exaone4",     "granite-docling",
                              "gigachat",   "mellum",       "modern-bert", "a.x-4.0",
                              "jina-es",    "jina-de",      "jina-v2-es",  "jina-v2-de",
                              "jina-v1-en", "jina-v2-code", "roberta-bpe"};
constexpr texts llama3_names = {"llama-bpe", "llama3",   "llama-v3", "falcon3",     "falcon-h1",
                                "pixtral",   "midm-2.0", "lfm2",     "jina-v5-nano"};
constexpr texts llama3_merging_names = {"smaug-bpe", "dbrx", "glm4", "chatglm-bpe"};
constexpr texts qwen2_names = {"qwen2",      "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan",
                               "solar-open", "grok-2",           "kormo",  "f2llmv2"};
constexpr texts qwen35_names = {"qwen35"};
constexpr texts falcon_names = {"falcon"};
constexpr texts starcoder_names = {"starcoder", "refact", "command-r",  "smollm",
                                   "codeshell", "exaone", "minerva-7b", "mellum2"};
constexpr texts deepseek_llm_names = {"deepseek-llm"};
constexpr texts deepseek_coder_names = {"deepseek-coder"};
constexpr texts deepseek_v3_names = {"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"};
constexpr texts spark_names = {"spark2_5"};
constexpr texts youtu_names = {"youtu"};
constexpr texts bloom_names = {"bloom", "poro-chat", "gpt3-finnish"};
constexpr texts viking_names = {"viking"};
constexpr texts tekken_names = {"tekken"};
constexpr texts gpt4o_names = {"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"};
constexpr texts granite_multi_names = {"granite-embed-multi-97m"};
constexpr texts chameleon_names = {"chameleon"};
constexpr texts jais2_names = {"jais-2"};
constexpr texts bailing_names = {"bailingmoe", "bailingmoe2", "llada-moe"};
constexpr texts seed_coder_names = {"seed-coder"};
constexpr texts ufakzeka_names = {"ufakzeka"};
constexpr texts laguna_names = {"laguna"};
constexpr texts minicpm5_names = {"minicpm5"};
constexpr texts exaone_moe_names = {"exaone-moe"};

constexpr pre_tokenizer_row table[] = {
    // names, patterns, ignore_merges, add_beginning
    {default_names, plain_default},
    {gpt2_names, gpt2},
    {llama3_names, llama3, true, true},
    {llama3_merging_names, llama3},
    {qwen2_names, qwen2},
    {qwen35_names, qwen35},
    {falcon_names, falcon},
    {starcoder_names, starcoder},
    {deepseek_llm_names, deepseek_llm},
    {deepseek_coder_names, deepseek_coder},
    {deepseek_v3_names, deepseek_v3},
    {spark_names, spark},
    {youtu_names, youtu, true},
    {bloom_names, bloom},
    {viking_names, viking},
    {tekken_names, tekken, true, true},
    {gpt4o_names, gpt4o},
    {granite_multi_names, granite_multi, true},
    {chameleon_names, chameleon, false, true},
    {jais2_names, jais2},
    {bailing_names, bailing},
    {seed_coder_names, seed_coder},
    {ufakzeka_names, ufakzeka},
    {laguna_names, laguna},
    {minicpm5_names, minicpm5, true},
    {exaone_moe_names, exaone_moe},
};

}  // namespace

std::span<const pre_tokenizer_row> pre_tokenizer_table() {
  return table;
}

const pre_tokenizer_row* find_pre_tokenizer(std::string_view name) {
  if (name.empty()) name = "default";
  for (const pre_tokenizer_row& row : table)
    for (const std::string_view known : row.names)
      if (known == name) return &row;
  return nullptr;
}

std::string pre_tokenizer_names() {
  std::string all;
  for (const pre_tokenizer_row& row : table)
    for (const std::string_view name : row.names)
      all += (all.empty() ? "" : ", ") + std::string(name);
  return all;
}

}  // namespace troupe::kernels

"""Categories of other taxonomies in ours, IAB Content Categories 1.0.

    cattax, category -> codes_of -> none, or up to three of ours

Content Taxonomies 2.0 to 2.2, 3.0 and 3.1 (cattax 2, 5, 6, 7, 9) share their numbers, which go from 1 to 698 subject by subject.
After IAB Tech Lab's own mapping of 1.0 to 2.0, turned round: a subject gets our first tier, a topic our second where it is
the same topic, and not where it is only the nearest. Events and attractions, content types and sources have no counterpart, nor
have the other taxonomies of the list (ad products, audiences). Sensitive topics are mapped as far as IAB25 and IAB26 name them.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.string cimport memcmp, memset
from bidder._fast.fields cimport begins

cdef enum:
    NUMBERS = 699
    DIGITS = 3

cdef tuple TABLE = (
    # subjects: ranges of numbers
    "1-41 IAB2, 42-51 IAB1-1, 52-122 IAB3, 123-131 IAB4, 132-149 IAB5, 186 IAB6 IAB14, 187-200 IAB6, 201-209 IAB1-3",
    "210-222 IAB8, 223-238 IAB7, 239-273 IAB9, 274-285 IAB10, 286-323 IAB7, 324-337 IAB1-5, 338-378 IAB1-6",
    "379 IAB12 IAB11, 380-385 IAB12, 386-389 IAB11-4, 391-421 IAB13, 422-431 IAB16, 432-439 IAB1-2, 440 IAB1-4",
    "441-452 IAB21, 453-463 IAB23, 464-472 IAB15, 473-482 IAB22, 483-551 IAB17, 552-595 IAB18, 596-639 IAB19",
    "640-652 IAB1-7, 653-679 IAB20, 680-698 IAB9-30",
    # topics
    "3 IAB2-21, 4 IAB2-20, 5 IAB2-23, 8 IAB2-6, 9 IAB2-7, 10 IAB2-8, 11 IAB2-11, 13 IAB2-14, 14 IAB2-16, 15 IAB2-18",
    "18 IAB2-5, 19 IAB2-22, 22 IAB2-10 IAB2-12, 23 IAB2-13, 24 IAB2-17, 25 IAB2-4, 27 IAB2-15, 28 IAB2-19, 30 IAB2-3",
    "32 IAB2-1, 34 IAB2-2, 55 IAB3-9, 57 IAB3-10, 58 IAB3-11, 72 IAB3-4, 77 IAB3-7, 78 IAB3-8, 91 IAB3-1",
    "102 IAB3-2 IAB3-6, 107 IAB3-12, 119 IAB3-3, 121 IAB3-5, 125 IAB4-11, 126 IAB4-1, 127 IAB4-5, 128 IAB4-4, 129 IAB4-6",
    "130 IAB4-9, 133 IAB5-2, 134 IAB5-13, 136 IAB5-14, 139 IAB5-9, 145 IAB5-10, 146 IAB5-11, 147 IAB5-7 IAB5-8",
    "148 IAB5-6, 149 IAB5-12, 151 IAB20-25, 165 IAB14-7, 188 IAB14-1, 189 IAB14-2, 190 IAB6-9 IAB14-5, 191 IAB14-4",
    "193 IAB6-1, 194 IAB6-3, 195 IAB6-4, 196 IAB6-2, 197 IAB6-5, 198 IAB6-6 IAB14-6, 199 IAB6-8, 211 IAB8-5 IAB8-18",
    "212 IAB8-16, 213 IAB8-17, 214 IAB8-7, 215 IAB8-2, 217 IAB8-8, 218 IAB8-9, 219 IAB8-10, 221 IAB8-12, 224 IAB7-35",
    "225 IAB7-1, 227 IAB17-30, 228 IAB7-31, 229 IAB7-32, 230 IAB7-38, 231 IAB7-44, 233 IAB7-5, 234 IAB7-25, 235 IAB7-26",
    "236 IAB7-36, 237 IAB7-41, 238 IAB7-45, 241 IAB9-20, 244 IAB15-5, 246 IAB9-26, 248 IAB9-2, 249 IAB9-3, 250 IAB9-6",
    "251 IAB9-12, 252 IAB9-19, 253 IAB9-21, 254 IAB9-22, 255 IAB9-23, 256 IAB9-27, 257 IAB9-31, 259 IAB9-4, 260 IAB9-9",
    "261 IAB9-10, 262 IAB9-11, 263 IAB9-29, 265 IAB9-17, 266 IAB9-13, 267 IAB9-28, 270 IAB9-5, 271 IAB9-7, 272 IAB9-25",
    "273 IAB9-14, 275 IAB10-4, 276 IAB10-9, 278 IAB10-1, 279 IAB10-2, 280 IAB10-5, 283 IAB10-7, 284 IAB10-8, 288 IAB7-4",
    "293 IAB7-43, 304 IAB7-30, 305 IAB6-7, 307 IAB7-39, 309 IAB7-19, 310 IAB7-40, 311 IAB7-42, 314 IAB7-11, 315 IAB7-15",
    "316 IAB7-17, 317 IAB7-20, 382 IAB12-1, 383 IAB11-2, 384 IAB12-3, 385 IAB12-2, 390 IAB15-10, 395 IAB4-3 IAB4-8",
    "396 IAB13-4, 398-404 IAB13-6, 405-409 IAB13-2, 410 IAB13-7, 411 IAB13-5, 412 IAB13-8, 413 IAB13-9, 414 IAB13-11",
    "415 IAB13-12, 416 IAB13-10, 423 IAB16-2, 424 IAB16-3, 425 IAB16-4, 426 IAB16-1, 427 IAB16-5, 429 IAB16-6",
    "430 IAB16-7, 442 IAB21-1, 451 IAB21-3, 456 IAB15-1, 457 IAB23-2, 458 IAB23-3, 459 IAB23-5, 460 IAB23-6, 461 IAB23-7",
    "462 IAB23-8, 465 IAB15-2, 466 IAB15-3, 469 IAB15-8, 470 IAB15-4, 471 IAB15-6, 472 IAB15-7, 474 IAB22-2, 484 IAB17-12",
    "485 IAB17-5, 486 IAB17-7, 491 IAB17-9, 492 IAB17-3, 496 IAB17-17, 497 IAB17-16, 499 IAB17-6, 500 IAB17-8",
    "501 IAB17-24, 502 IAB17-33, 503 IAB17-34, 504 IAB17-36, 505 IAB17-37, 506 IAB17-43, 510 IAB17-10",
    "511 IAB17-11 IAB17-13 IAB17-32, 512 IAB17-15, 514 IAB17-18, 515 IAB17-27, 516 IAB17-19, 518 IAB17-1, 519 IAB17-25",
    "520 IAB17-20, 521-523 IAB17-23, 525 IAB17-28, 527-529 IAB17-29, 530 IAB17-31, 531 IAB17-35, 533 IAB17-44",
    "537 IAB17-38, 538 IAB17-39, 539 IAB17-40, 541 IAB17-41, 542 IAB17-42, 545 IAB17-2, 547 IAB17-26, 549 IAB17-4",
    "553-559 IAB18-1, 560 IAB18-3, 561-564 IAB18-6, 565 IAB18-4 IAB18-6, 566-572 IAB18-5, 574 IAB18-2, 575 IAB18-5",
    "576-579 IAB18-3, 580 IAB18-6, 581 IAB18-4 IAB18-6, 582-588 IAB18-5, 600 IAB19-8, 601 IAB19-9, 603 IAB19-1",
    "605 IAB19-30, 606 IAB19-14, 607 IAB19-23, 608 IAB19-3, 610 IAB19-2, 611 IAB19-12, 612 IAB19-13, 613 IAB19-22",
    "614 IAB19-16, 616 IAB19-11, 618 IAB19-25, 619 IAB19-18, 623 IAB19-15, 624 IAB19-24, 627 IAB19-35, 629 IAB19-34",
    "630 IAB19-28, 633 IAB19-5, 635 IAB19-6, 636 IAB19-26, 656 IAB20-2, 658 IAB20-4, 659 IAB20-14, 662 IAB20-23",
    "665 IAB20-1, 666 IAB20-26, 667 IAB20-17, 668 IAB20-18, 671 IAB20-24, 672 IAB20-3, 674 IAB20-5, 675 IAB20-6",
    "676 IAB20-7, 677 IAB20-9, 678 IAB20-12",
)
cdef dict WORDS = {
    "JLBCU7": "IAB1", "Rm3SiT": "IAB25-3", "HxqYV1": "IAB25-5", "j9PaO9": "IAB25-4", "mm3UXx": "IAB26-4",
}

cdef Codes[NUMBERS] numbered
cdef struct Word:
    Str name
    Codes codes
cdef Word[8] worded
cdef int words = 0
cdef list held = []            # bytes that the tables point into


cdef Str hold(str text):
    cdef bytes kept = text.encode()
    cdef Str out
    held.append(kept)
    out.p = PyBytes_AS_STRING(kept)
    out.n = <unsigned int>len(kept)
    return out


cdef Codes codes_from(listed):
    cdef Codes codes
    memset(&codes, 0, sizeof(codes))
    for code in listed:
        codes.code[codes.n] = hold(code)
        codes.n += 1
    return codes


cdef fill():
    global words
    cdef Codes codes
    cdef int number
    memset(numbered, 0, sizeof(numbered))
    for line in TABLE:
        for entry in line.split(", "):
            numbers, *listed = entry.split(" ")
            first, _, last = numbers.partition("-")
            codes = codes_from(listed)
            for number in range(int(first), int(last or first) + 1):
                numbered[number] = codes
    for name, code in WORDS.items():
        worded[words].name = hold(name)
        worded[words].codes = codes_from([code])
        words += 1


fill()


cdef void codes_of(uint8_t taxonomy, Str category, Codes* found) noexcept nogil:
    cdef unsigned int i, number = 0
    found.n = 0
    if category.p is NULL or category.n == 0:
        return
    # Some go on sending 1.0 under another taxonomy's name: there it means nothing else.
    if taxonomy <= 1 or begins(category.p, category.n, b"iab", 3):
        found.code[0] = category
        found.n = 1
    elif taxonomy == 2 or 5 <= taxonomy <= 7 or taxonomy == 9:
        for i in range(category.n):
            if i == DIGITS or not c'0' <= category.p[i] <= c'9':
                break
            number = number * 10 + <unsigned int>(category.p[i] - c'0')
        else:
            if number < NUMBERS:
                found[0] = numbered[number]
            return
        for i in range(<unsigned int>words):
            if worded[i].name.n == category.n and memcmp(worded[i].name.p, category.p, category.n) == 0:
                found[0] = worded[i].codes


def codes_of_ours(uint8_t taxonomy, str category not None):
    cdef bytes raw = category.encode()
    cdef Codes found
    cdef Str text
    cdef int i
    text.p = PyBytes_AS_STRING(raw)
    text.n = <unsigned int>len(raw)
    codes_of(taxonomy, text, &found)
    return [found.code[i].p[:found.code[i].n].decode() for i in range(found.n)]

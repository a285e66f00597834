"""Vocabulary of the assistant's rules."""

from typing import Final

ERRANDS: Final = frozenset({
    "assemble", "bake", "book", "borrow", "brush", "buy", "call", "clean", "collect", "cook",
    "defrost", "deliver", "email", "exchange", "feed", "fetch", "fill", "fix", "fold", "get",
    "grab", "hang", "harvest", "hoover", "install", "invite", "iron", "jog", "knit", "mail", "mend",
    "mow", "oil", "order", "pack", "paint", "pay", "phone", "pick", "plant", "polish", "prune",
    "purchase", "refill", "renew", "rent", "repair", "replace", "repot", "return", "ring", "roast",
    "scrub", "sell", "sew", "sharpen", "ship", "sweep", "tidy", "unpack", "vacuum", "visit", "wash",
    "water", "weed", "weigh", "wipe", "withdraw", "wrap",
})  # fmt: skip
"""First words that identify a line as a task."""

VERBS: Final = ERRANDS | frozenset({
    "apply", "arrange", "ask", "attend", "bring", "build", "charge", "check", "choose", "contact",
    "copy", "cut", "decide", "decorate", "design", "draft", "draw", "drive", "drop", "empty",
    "file", "follow", "grade", "hire", "insure", "join", "learn", "lock", "measure", "meet",
    "organise", "organize", "photograph", "plan", "post", "practice", "practise", "prepare",
    "print", "proofread", "read", "rebook", "register", "rehearse", "remind", "reply", "research",
    "reserve", "review", "revise", "ride", "run", "scan", "schedule", "send", "service", "shop",
    "sign", "sketch", "sort", "start", "study", "submit", "subscribe", "swim", "take", "talk",
    "teach", "test", "thank", "throw", "train", "translate", "treat", "try", "turn", "update",
    "upgrade", "watch", "write",
})  # fmt: skip
"""Verbs of tasks; some may also start a request to the assistant: "write a poem"."""

ADDRESSING: Final = frozenset({
    "ask", "call", "contact", "email", "help", "invite", "mail", "meet", "message", "phone",
    "remind", "ring", "tell", "text", "thank", "visit",
})  # fmt: skip
"""Verbs after which a word without an article is a name."""

LIVING: Final = frozenset({
    "aunt", "aunty", "baby", "babysitter", "boss", "boy", "boyfriend", "bro", "brother", "builder",
    "bunny", "carpenter", "cat", "child", "children", "cleaner", "client", "colleague", "cousin",
    "customer", "dad", "daddy", "daughter", "dog", "electrician", "family", "father", "friend",
    "gardener", "girl", "girlfriend", "grandad", "granddad", "grandfather", "grandma",
    "grandmother", "grandpa", "granny", "guest", "hamster", "hen", "horse", "husband", "kid",
    "kitten", "landlady", "landlord", "mama", "manager", "mechanic", "mom", "mommy", "mother",
    "mum", "mummy", "nana", "nanny", "neighbor", "neighbour", "nephew", "niece", "nurse", "painter",
    "papa", "parent", "parrot", "pet", "plumber", "pony", "puppy", "rabbit", "roofer", "roommate",
    "sister", "son", "tenant", "tortoise", "tutor", "twin", "uncle", "wife",
})  # fmt: skip
"""Persons and animals whose own actions people report; "dentist" may be an appointment."""

COMMANDS: Final = frozenset({
    "cancel", "change", "close", "complete", "cross", "defer", "delay", "delete", "drop", "find",
    "finish", "know", "list", "look", "mark", "move", "postpone", "push", "remove", "rename",
    "reopen", "reschedule", "scrap", "search", "see", "shift", "show", "stop", "tag", "tick",
    "uncheck", "undo", "untag", "untick",
})  # fmt: skip
"""First words of commands to the assistant."""

IDIOMS: Final = (
    *("get a life", "get lost", "get over", "get real", "get rid", "get well", "hang in there"),
    *("hang on", "hang tight", "ring a bell"),
)
"""Idioms that start with the verb of an errand, but are not tasks."""

MOTIONS: Final = frozenset({
    "commute", "cycle", "fly", "get", "go", "head", "listen", "move", "return", "travel", "walk",
})  # fmt: skip
"""Verbs after which "to work" is a destination, not a list: "add walk to work"."""

NOT_DUTIES: Final = frozenset({
    "admit", "agree", "ask", "be", "confess", "go", "know", "laugh", "say", "see", "tell", "think",
    "wonder",
})  # fmt: skip
"""Verbs after which "I have to" announces no task: "I have to say"."""

NOT_IN_TITLES: Final = frozenset({
    "again", "anything", "are", "everything", "he", "him", "i", "instead", "is", "it", "list",
    "lists", "me", "nothing", "she", "someone", "something", "task", "tasks", "that", "them",
    "these", "they", "this", "those", "todo", "todos", "us", "was", "we", "were", "you",
})  # fmt: skip
"""Words that mark an unannounced line as talk, not as a task."""

FIND_FILLERS: Final = frozenset({
    "'ve", "a", "agenda", "all", "am", "an", "and", "any", "anything", "are", "at", "be", "by",
    "calendar", "can", "coming", "currently", "did", "do", "does", "done", "due", "else",
    "everything", "for", "get", "give", "going", "got", "had", "happening", "has", "have", "how",
    "i", "in", "is", "item", "items", "left", "list", "lists", "many", "me", "much", "must",
    "must-do", "my", "need", "needs", "next", "now", "of", "ok", "on", "ones", "open", "or", "our",
    "outstanding", "pending", "plan", "planned", "plans", "plate", "please", "priority",
    "remaining", "right", "schedule", "scheduled", "see", "should", "show", "so", "still", "stuff",
    "task", "tasks", "tell", "that", "the", "there", "these", "thing", "things", "this", "to",
    "to-do", "to-dos", "today's", "todo", "todos", "up", "upcoming", "was", "we", "what", "what's",
    "whats", "which", "with", "work",
})  # fmt: skip
"""Words in questions about tasks that do not narrow the search."""

FIND_SUBJECTS: Final = frozenset({
    "agenda", "do", "due", "have", "item", "items", "left", "list", "lists", "next", "open",
    "outstanding", "overdue", "pending", "planned", "plate", "remaining", "schedule", "scheduled",
    "task", "tasks", "to-do", "to-dos", "todo", "todos", "upcoming",
})  # fmt: skip
"""Words that identify a question without a filter as one about tasks."""

PHRASE_FILLERS: Final = frozenset({
    "a", "about", "an", "and", "at", "for", "from", "in", "me", "my", "of", "on", "or", "our",
    "out", "some", "that", "the", "these", "this", "those", "to", "up", "with", "your",
})  # fmt: skip
"""Words that are ignored in the name of a task."""

TASK_NOUNS: Final = frozenset({
    "entry", "item", "items", "one", "ones", "task", "tasks", "thing", "things", "to-do", "todo",
    "todos",
})  # fmt: skip
"""Nouns for a task that do not identify it."""

LEFTOVER_FILLERS: Final = frozenset({
    "a", "about", "actually", "already", "also", "an", "and", "any", "anymore", "are", "as", "at",
    "be", "been", "can", "could", "date", "did", "do", "does", "doesn't", "don't", "due",
    "finally", "for", "from", "get", "got", "had", "has", "have", "hey", "hi", "i", "i'd", "i'm",
    "i've", "in", "instead", "is", "isn't", "it", "it's", "just", "list", "lists", "longer", "make",
    "mark", "me", "more", "move", "my", "n't", "need", "needs", "no", "not", "now", "of", "off",
    "oh", "ok", "okay", "on", "one", "ones", "or", "our", "out", "over", "please", "really", "set",
    "so", "still", "take", "task", "tasks", "thank", "thanks", "that", "the", "then", "these",
    "thing", "things", "this", "those", "till", "to", "today", "todo", "tomorrow", "uh", "um",
    "until", "up", "was", "we", "well", "were", "with", "yeah", "yes", "yesterday", "you", "your",
})  # fmt: skip
"""Words of a message that a decision need not explain."""

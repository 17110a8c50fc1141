/*
 * What a process sees of its files, where that is not what the disk holds, and which fault strikes next.
 * Part of preload.c, which says what it is for. Everything below takes `lock` as held, but for `of`.
 */
_Static_assert(sizeof(off_t) == 8, "the 64-bit names are taken to be the same functions");

enum { PAGE = 4096, DESCRIPTORS = 1 << 20 };

struct page {
    bool dirty; /* false: a failed sync gave it up; it is seen until the process ends, and never written */
    unsigned char bytes[PAGE];
};

/* One file that this process has open, or has written and not synced. */
struct file {
    struct file *next;
    dev_t device;
    ino_t number;
    int opens;   /* the process's descriptors of it */
    int backing; /* our own, for writing; -1 until one of theirs can write. Closed after the last of theirs, since
                    closing any descriptor drops the process's locks on the file. It also keeps `number` from reuse. */
    bool held;   /* what follows differs from the disk, and is what the process sees */
    off_t size;
    off_t valid; /* where the disk's content ends for us: a truncation not yet synced cut off the rest */
    size_t room;
    struct page **pages;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct file *) by_descriptor[DESCRIPTORS];
static struct file *files;
static bool holding;
static bool loses_at_any_end;
static const char *directory;
static const char *control;
static const char *clock_control;
static pid_t owner;

/* The C library's own function, past ours. */
#define REAL(name)                                                                                                     \
    ({                                                                                                                 \
        static __typeof__(name) *real;                                                                                 \
        if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);                                                 \
        real;                                                                                                          \
    })

static void die(const char *why) {
    dprintf(STDERR_FILENO, "fault library: %s: %s\n", why, strerror(errno));
    abort();
}

/* ---- The fault in force ---- */

enum act { WRITE, SYNC };

static void end_now(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Whether the fault in force strikes this act; if so, errno says how. */
static bool struck(enum act act) {
    static char former[64];
    static long passes;
    if (!control) return false;
    char text[64] = "", word[32] = "";
    long after = 0;
    int fd = REAL(open)(control, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t length = REAL(read)(fd, text, sizeof text - 1);
        text[length > 0 ? length : 0] = 0;
        REAL(close)(fd);
    }
    int fields = sscanf(text, "%31s %ld", word, &after);
    if (strcmp(text, former)) {
        strcpy(former, text);
        passes = after;
    }
    if (fields < 1) return false;

    int error;
    bool meant;
    if (!strcmp(word, "enospc")) error = ENOSPC, meant = act == WRITE;
    else if (!strcmp(word, "eio-write")) error = EIO, meant = act == WRITE;
    else if (!strcmp(word, "eio-fsync")) error = EIO, meant = act == SYNC;
    else if (!strcmp(word, "kill")) error = 0, meant = true;
    else errno = EINVAL, die("the control file names no fault that there is");
    if (!meant || passes-- > 0) return false;
    passes = 0;
    if (!error) end_now();
    errno = error;
    return true;
}

/* ---- What is held in memory for a file ---- */

static off_t size_on_disk(int fd) {
    struct stat status;
    if (REAL(fstat)(fd, &status)) die("size of a file");
    return status.st_size;
}

static off_t size_seen(const struct file *file, int fd) { return file->held ? file->size : size_on_disk(fd); }

/* Begins to see `file` apart from the disk, for now with the same content. */
static void hold(struct file *file) {
    if (file->held) return;
    file->held = true;
    file->size = file->valid = size_on_disk(file->backing);
}

static struct page *page_at(const struct file *file, size_t index) {
    return index < file->room ? file->pages[index] : NULL;
}

/* Reads what the disk has, with zeros for what has been cut off or never was. */
static bool read_disk(const struct file *file, int fd, unsigned char *out, size_t length, off_t at) {
    off_t left = file->valid - at;
    size_t wanted = left <= 0 ? 0 : (size_t)left < length ? (size_t)left : length;
    ssize_t got = wanted ? REAL(pread)(fd, out, wanted, at) : 0;
    if (got < 0) return false;
    memset(out + got, 0, length - (size_t)got);
    return true;
}

static struct page *page_to_write(struct file *file, size_t index) {
    if (index >= file->room) {
        size_t room = index + index / 2 + 16;
        file->pages = realloc(file->pages, room * sizeof *file->pages);
        if (!file->pages) die("memory for pages");
        memset(file->pages + file->room, 0, (room - file->room) * sizeof *file->pages);
        file->room = room;
    }
    if (!file->pages[index]) {
        struct page *page = file->pages[index] = malloc(sizeof *page);
        if (!page) die("memory for a page");
        if (!read_disk(file, file->backing, page->bytes, PAGE, (off_t)index * PAGE)) die("read before a write");
    }
    file->pages[index]->dirty = true;
    return file->pages[index];
}

static size_t part_of_page(size_t left, off_t at) {
    size_t room = PAGE - (size_t)(at % PAGE);
    return left < room ? left : room;
}

static ssize_t see(const struct file *file, int fd, unsigned char *out, size_t length, off_t at) {
    if (at >= file->size) return 0;
    if ((off_t)length > file->size - at) length = (size_t)(file->size - at);
    for (size_t done = 0, part; done < length; done += part, at += part) {
        part = part_of_page(length - done, at);
        const struct page *page = page_at(file, (size_t)(at / PAGE));
        if (page) memcpy(out + done, page->bytes + at % PAGE, part);
        else if (!read_disk(file, fd, out + done, part, at)) return -1;
    }
    return (ssize_t)length;
}

static void put(struct file *file, const unsigned char *data, size_t length, off_t at) {
    hold(file);
    for (size_t done = 0, part; done < length; done += part, at += part) {
        part = part_of_page(length - done, at);
        memcpy(page_to_write(file, (size_t)(at / PAGE))->bytes + at % PAGE, data + done, part);
    }
    if (length && at > file->size) file->size = at;
}

static void resize(struct file *file, off_t size) {
    hold(file);
    for (size_t index = (size_t)(size / PAGE); index < file->room; index++) {
        struct page *page = file->pages[index];
        off_t start = (off_t)index * PAGE;
        if (page && start < size) {
            memset(page->bytes + (size - start), 0, (size_t)(PAGE - (size - start)));
        } else {
            free(page);
            file->pages[index] = NULL;
        }
    }
    if (size < file->valid) file->valid = size;
    file->size = size;
}

/* Brings the disk to where the process sees the file. */
static int settle(struct file *file) {
    if (!file->held) return 0;
    bool given_up = false;
    if (file->valid < size_on_disk(file->backing) && REAL(ftruncate)(file->backing, file->valid)) return -1;
    for (size_t index = 0; index < file->room; index++) {
        struct page *page = file->pages[index];
        off_t at = (off_t)index * PAGE;
        if (!page) continue;
        if (!page->dirty) {
            given_up = true;
            continue;
        }
        size_t length = file->size - at < PAGE ? (size_t)(file->size - at) : PAGE;
        for (size_t done = 0; done < length;) {
            ssize_t put = REAL(pwrite)(file->backing, page->bytes + done, length - done, at + (off_t)done);
            if (put < 0) return -1;
            done += (size_t)put;
        }
        free(page);
        file->pages[index] = NULL;
    }
    if (size_on_disk(file->backing) != file->size && REAL(ftruncate)(file->backing, file->size)) return -1;
    file->valid = file->size;
    file->held = given_up;
    return 0;
}

/* A sync that fails: Linux marks the pages clean all the same, so no later sync will write them. */
static void give_up(struct file *file) {
    for (size_t index = 0; index < file->room; index++)
        if (file->pages[index]) file->pages[index]->dirty = false;
}

static void forget(struct file *file) {
    struct file **link = &files;
    while (*link != file) link = &(*link)->next;
    *link = file->next;
    for (size_t index = 0; index < file->room; index++) free(file->pages[index]);
    free(file->pages);
    if (file->backing >= 0) REAL(close)(file->backing);
    free(file);
}

/* Forgets `file` if nobody can see it any more. */
static void forget_if_done(struct file *file) {
    struct stat status;
    if (file->opens > 0) return;
    if (!file->held || (!REAL(fstat)(file->backing, &status) && status.st_nlink == 0)) forget(file);
}

/* ---- Which descriptors and files are ours ---- */

static struct file *of(int fd) {
    return fd >= 0 && fd < DESCRIPTORS ? atomic_load(&by_descriptor[fd]) : NULL;
}

static struct file *find(dev_t device, ino_t number) {
    for (struct file *file = files; file; file = file->next)
        if (file->device == device && file->number == number) return file;
    return NULL;
}

static bool is_below_directory(const char *path) {
    static char known[PATH_MAX];
    if (!known[0] && !realpath(directory, known)) {
        known[0] = 0;
        return false;
    }
    size_t length = strlen(known), whole = strlen(path);
    if (strncmp(path, known, length) || path[length] != '/') return false;
    return whole < 4 || strcmp(path + whole - 4, "-shm");
}

static void attach(int fd, struct file *file) {
    if (fd >= DESCRIPTORS) errno = EMFILE, die("a descriptor");
    file->opens++;
    atomic_store(&by_descriptor[fd], file);
}

static void detach(int fd) {
    struct file *file = of(fd);
    if (!file) return;
    atomic_store(&by_descriptor[fd], NULL);
    file->opens--;
    forget_if_done(file);
}

/* Takes a descriptor just opened under our eye, if it is of a file that we answer for. */
static int opened(int fd, int flags) {
    if (fd < 0 || !directory) return fd;
    int error = errno;
    struct stat status;
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    bool regular = !REAL(fstat)(fd, &status) && S_ISREG(status.st_mode) && !(flags & O_PATH);
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    pthread_mutex_lock(&lock);
    detach(fd); /* closed past us: what the number once was counts no more */
    if (regular && is_below_directory(path)) {
        for (struct file *file = files, *next; file; file = next) next = file->next, forget_if_done(file);
        struct file *file = find(status.st_dev, status.st_ino);
        if (!file) {
            file = calloc(1, sizeof *file);
            if (!file) die("memory for a file");
            *file = (struct file){.next = files, .device = status.st_dev, .number = status.st_ino, .backing = -1};
            files = file;
        }
        attach(fd, file);
        if (writes && holding && file->backing < 0) {
            file->backing = REAL(open)(link, O_RDWR | O_CLOEXEC);
            if (file->backing < 0) die("a second descriptor of a file");
        }
        if (writes && holding && (flags & O_TRUNC)) resize(file, 0);
    } else if (regular && writes && holding && (flags & O_TRUNC)) {
        if (REAL(ftruncate)(fd, 0)) die("truncation of a file of others");
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

/* The flags to open with: while we hold writes back, a truncation is one of them. */
static int passed(int flags) {
    return directory && holding ? flags & ~O_TRUNC : flags;
}

static int shared(int from, int to) {
    if (to < 0 || to == from || getpid() != owner) return to;
    pthread_mutex_lock(&lock);
    detach(to);
    struct file *file = of(from);
    if (file) attach(to, file);
    pthread_mutex_unlock(&lock);
    return to;
}

__attribute__((constructor)) static void begin(void) {
    owner = getpid();
    directory = getenv("ROOKERY_FAULT_DIR");
    control = getenv("ROOKERY_FAULT_CONTROL");
    clock_control = getenv("ROOKERY_FAULT_CLOCK");
    const char *power_cut = getenv("ROOKERY_FAULT_POWER_CUT");
    if (!directory || !power_cut) return;
    holding = true;
    loses_at_any_end = !strcmp(power_cut, "at-any-end");
    if (!loses_at_any_end && strcmp(power_cut, "at-kill")) errno = EINVAL, die("ROOKERY_FAULT_POWER_CUT");
}

__attribute__((destructor)) static void end_in_order(void) {
    if (getpid() != owner) return;
    pthread_mutex_lock(&lock);
    for (struct file *file = files; file && !loses_at_any_end; file = file->next) settle(file);
    holding = false;
    pthread_mutex_unlock(&lock);
}

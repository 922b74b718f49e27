/* SPDX-License-Identifier: MIT */
/*
 * A model of process_lock.h, of the begins and ends of lock.c, and of recovery.c, for spin: every
 * interleaving of a few processes that read and write one storage, of which any may die before any
 * step of its own. lock_model.cmake runs it, as it is and broken.
 *
 * What is real here: the locks, gates and rooms, the notice, and the order in which they are taken; the look at the log
 * under the fresh lock; recovery by whoever comes next; a reader that becomes a writer for it and
 * goes back; the two logs, with a step for every page; checkpoints; private copies of pages that
 * stay from one begin to the next, and the turn of the log by which they are known to be old.
 * THREADS: a process may have another thread that waits to read, for which it stays in a room.
 * What is left out: threads otherwise (`tmf threads --schedule` and `tmf procs --threads` run the code itself for
 * these), the medium, poison, growth, waits that end early. A record of the redo log is whole or not there. Turnstile
 * and gate are given back in the step that takes what they lead to: later would only delay others.
 *
 * The storage has two pages, and a transaction writes its number to both, so content of two
 * transactions is seen. `acknowledged`, `begun` and `committed` are what the oracle would know.
 *
 * The invariants; a name is what spin says where one does not hold:
 *
 *   lock_order          turnstile < writer < room < gate < main (process_lock.h), for who waits
 *   one_writer          who commits, recovers or publishes holds `writer`
 *   alone_with_the_odb  who stores into the .odb holds `main` for itself
 *   gate_keeps_out      nobody who comes while a writer waits for readers to leave gets to `main`
 *   two_go_before       a reader that waits is overtaken by two at most that go alone
 *   settled             the .odb that a holder uses is no leftover of the dead
 *   one_state           both pages are of one transaction, from begin to end
 *   acknowledged_seen   which is no older than one whose commit returned or that was read before,
 *   committed_only      and is one that was committed
 *
 * And whatever happens, everybody who lives gets to its end.
 *
 * ONLY_UNDO leaves the redo strategies out. Each of these defines breaks it: LATE_LOCK,
 * EARLY_UNLOCK, NO_RECOVERY, NO_GATE, NO_ROOM, NO_WRITER_LOCK, STALE_COPY, LATE_RECORD, EARLY_START,
 * CROSSED_LOCKS. A reader that has recovered goes from LOCK_EX to LOCK_SH by way of nothing (flaw
 * D26). Two things make up for that, each by itself: it still has `writer`, so nobody can have
 * written, and it looks at the log again. Without both, NO_SECOND_LOOK and EARLY_UNWRITE, it is an
 * error. With OWN_WRITER_FIRST a process writes while it is in a room for its readers, and may wait
 * for a writer that waits for the room.
 */

#ifndef PROCESSES
#define PROCESSES 3
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef ROUNDS
#define ROUNDS 1 /* begins of each process */
#endif
#define NOBODY PROCESSES

/* ---- the locks: who has them for itself, and the set of those who share them */

byte turnstile = NOBODY, writer = NOBODY, main = NOBODY;
byte main_shared;
byte gate[2] = NOBODY, gate_shared[2], room[2];
byte waits_alone = NOBODY; /* holds a gate, and waits for readers to leave */
bit notice_phase;          /* of who waits, or waited, or is dead */
bool notice_waiting;

#define self (1 << me)

/* ---- the files */

mtype = {undo, redo};
byte odb[2];
mtype log_kind = undo;
byte turn = 1;   /* of the log: grows with each slot */
byte turn_first; /* what the .odb held when a redo log started */
byte undo_old;   /* what an undo log puts back, */
byte undo_pages; /* to so many pages */
byte records;    /* the last transaction in a redo log; 0: none */

/* ---- what the oracle knows */

byte acknowledged, begun, committed;

/* ---- who lives */

byte redo_processes; /* of a redo strategy are so many, the first ones */
byte deaths;
bool dead[PROCESSES];
byte overtaken, overtaken_twice; /* who is in a room, and one writer has gone alone since; two */

hidden byte lock_order, one_writer, alone_with_the_odb, gate_keeps_out, settled;
hidden byte two_go_before, one_state, acknowledged_seen, committed_only;

#define holds(invariant, condition) invariant = (condition); assert(invariant)

#define has_gate                                                                                   \
    (gate[0] == me || gate[1] == me || ((gate_shared[0] | gate_shared[1]) & self))
#define has_room ((room[0] | room[1]) & self)
#define has_main (main == me || (main_shared & self))

inline take_turnstile()
{
    atomic {
        turnstile == NOBODY;
        turnstile = me;
        holds(lock_order, writer != me && !has_gate && !has_main)
    }
}

inline take_writer()
{
#ifndef NO_WRITER_LOCK
    take_turnstile();
    atomic {
        writer == NOBODY;
        writer = me;
        holds(lock_order, !has_gate && !has_main)
        turnstile = NOBODY
    }
#else
    skip
#endif
}

inline give_writer()
{
    if
    :: writer == me -> writer = NOBODY
    :: else
    fi
}

inline enter_room()
{
    holds(lock_order, !has_gate)
    room[phase] = room[phase] | self
}

inline enter_main_shared()
{
    holds(lock_order, !has_main)
    holds(gate_keeps_out, waits_alone == NOBODY || !is_late || phase != notice_phase)
    main_shared = main_shared | self;
    gate_shared[phase] = gate_shared[phase] & ~self;
    room[phase] = room[phase] & ~self;
    overtaken = overtaken & ~self;
    overtaken_twice = overtaken_twice & ~self
}

inline share_from_room()
{
#ifndef NO_GATE
    atomic {
        gate[phase] == NOBODY;
        gate_shared[phase] = gate_shared[phase] | self;
        holds(lock_order, !has_main)
    }
#endif
    atomic {
        main == NOBODY;
        enter_main_shared()
    }
}

/* At once, past the gate where a writer waits; or from the room. */
inline share_main()
{
    atomic {
        phase = notice_phase;
        is_late = notice_waiting
    }
#ifndef NO_GATE
    if
    :: is_late ->
        atomic {
            if
            :: gate[phase] == NOBODY -> gate_shared[phase] = gate_shared[phase] | self
            :: else -> enter_room()
            fi
        }
    :: else
    fi;
#endif
    atomic {
        if
        :: !has_room && main == NOBODY -> enter_main_shared()
        :: !has_room && main != NOBODY ->
            gate_shared[phase] = gate_shared[phase] & ~self;
            enter_room()
        :: else
        fi
    }
    if
    :: has_room -> share_from_room()
    :: else
    fi;
    is_late = false;
    phase = 0
}

#define unshare_main main_shared = main_shared & ~self

#ifdef NO_ROOM
#define all_rooms 0
#define old_room  0
#else
#define all_rooms (room[0] | room[1])
#define old_room  room[1 - phase]
#endif

inline go_alone()
{
    main = me;
    holds(two_go_before, (overtaken_twice & (room[0] | room[1])) == 0)
    overtaken_twice = overtaken & (room[0] | room[1]);
    overtaken = room[0] | room[1]
}

/* ---- another thread of the process, which waits to read */

inline stay_in_room()
{
#ifdef THREADS
    if
    :: stays ->
        d_step {
            phase = notice_phase;
            at_begin = acknowledged
        }
        atomic { enter_room() }
    :: else
    fi
#else
    skip
#endif
}

inline share_from_the_room_of_others()
{
    if
    :: !notice_waiting ->
        atomic {
            if
            :: main == NOBODY -> enter_main_shared()
            :: else
            fi
        }
    :: else
    fi;
    if
    :: has_room -> share_from_room()
    :: else
    fi;
    phase = 0
}

/* Without another step where it is free and nobody waits in a room; else behind the other gate. */
inline take_main()
{
    atomic {
        holds(lock_order, !has_room && !has_gate && !has_main)
        if
        :: main == NOBODY && main_shared == 0 && all_rooms == 0 -> go_alone()
        :: else -> phase = 1 - notice_phase
        fi
    }
    if
    :: main != me ->
        atomic {
            gate[phase] == NOBODY && gate_shared[phase] == 0;
            gate[phase] = me
        }
        atomic {
            notice_phase = phase;
            notice_waiting = true;
            waits_alone = me
        }
        old_room == 0;
        atomic {
            main == NOBODY && main_shared == 0;
            go_alone();
            waits_alone = NOBODY;
            gate[phase] = NOBODY;
            notice_waiting = false
        }
    :: else
    fi;
    phase = 0
}

inline give_main()
{
    main = NOBODY
}

/* What the system does as a process dies. */
inline let_go(who)
{
    if :: turnstile == who -> turnstile = NOBODY :: else fi;
    if :: writer == who -> writer = NOBODY :: else fi;
    if :: gate[0] == who -> gate[0] = NOBODY :: else fi;
    if :: gate[1] == who -> gate[1] = NOBODY :: else fi;
    if :: waits_alone == who -> waits_alone = NOBODY :: else fi;
    if :: main == who -> main = NOBODY :: else fi;
    room[0] = room[0] & ~(1 << who);
    room[1] = room[1] & ~(1 << who);
    gate_shared[0] = gate_shared[0] & ~(1 << who);
    gate_shared[1] = gate_shared[1] & ~(1 << who);
    overtaken = overtaken & ~(1 << who);
    overtaken_twice = overtaken_twice & ~(1 << who);
    main_shared = main_shared & ~(1 << who)
}

/* ---- recovery.c */

inline store(page, number)
{
    d_step {
        odb[page] = number;
        holds(alone_with_the_odb, main == me)
    }
}

inline start_log(kind)
{
    d_step {
        undo_pages = 0;
        records = 0;
        log_kind = kind;
        turn++;
        turn_first = odb[0];
        holds(one_writer, writer == me)
    }
}

/* settle(): every step may be the last one, and is made again by the next. */
inline settle(kind)
{
    if
    :: log_kind == undo && undo_pages > 0 ->
        if
        :: undo_pages == 2 -> store(1, undo_old)
        :: else
        fi;
        store(0, undo_old)
    :: log_kind == redo && records > 0 ->
#ifdef EARLY_START
        publishing = records;
        start_log(kind);
        store(0, publishing);
        store(1, publishing)
#else
        store(0, records);
        store(1, records)
#endif
    :: else
    fi;
    start_log(kind)
}

/* is_due(), for a begin that is to read or write. */
#define pending  (undo_pages > 0 || records > 0)
#define leftover (pending && !(is_redo && log_kind == redo))
#ifdef NO_RECOVERY
#define is_due (writes && log_kind != own && !pending)
#else
#define is_due ((writes && log_kind != own) || leftover)
#endif

inline recover_if_due()
{
    if
    :: is_due && writes -> settle(own)
    :: is_due && !writes -> settle(log_kind)
    :: else
    fi
}

/* Lets a writer that waits go first; or one that is about to get nearer, with main in hand. */
inline let_pass()
{
    atomic {
        if
        :: notice_waiting && gate[notice_phase] != NOBODY ->
            phase = notice_phase;
            enter_room()
        :: else
        fi
    }
    if
    :: has_room ->
        unshare_main;
        share_from_room();
        phase = 0
    :: else
    fi
}

inline recover_alone()
{
    take_main();
    recover_if_due();
#ifdef EARLY_UNWRITE
    give_writer();
#endif
    give_main(); /* from exclusive to shared, by way of nothing */
    atomic {
        main == NOBODY;
        main_shared = main_shared | self
    }
    give_writer()
}

/* An undo log only if nobody writes: who does recovers, and the log is looked at again behind it.
 * Who only tries may have main. */
inline recover_as_reader()
{
    if
    :: log_kind == undo ->
        atomic {
            if
            :: turnstile == NOBODY && writer == NOBODY -> writer = me
            :: else
            fi
        }
        if
        :: writer == me -> unshare_main
        :: else
        fi
    :: else ->
#ifndef CROSSED_LOCKS
        unshare_main;
#endif
        take_writer()
    fi;
    if
    :: writer == me ->
        recover_alone();
#ifdef NO_SECOND_LOOK
        break /* of entered() */
#endif
    :: else -> let_pass()
    fi
}

inline recover_as_writer()
{
    if
    :: is_redo -> take_main(); recover_if_due(); give_main()
    :: else -> recover_if_due()
    fi
}

/* take_over(), redo_apply.c: copies that the log's new turn has made old are dropped; what the log
 * holds becomes copies. */
inline take_over()
{
    d_step {
        if
        :: is_redo && known_turn != turn ->
#ifndef STALE_COPY
            if
            :: copy != turn_first -> copy = 0
            :: else
            fi;
#endif
            known_turn = turn
        :: else
        fi;
        if
        :: is_redo && log_kind == redo && records > 0 -> copy = records
        :: else
        fi;
    }
}

/* tmf_entered() */
inline entered()
{
    do
    :: is_due && writes -> recover_as_writer()
    :: is_due && !writes -> recover_as_reader()
    :: else -> break
    od;
    take_over();
    d_step {
        holds(settled, undo_pages == 0 && (copy > 0 || odb[0] == odb[1]))
    }
}

/* ---- a reader and a writer */

#define shows(page) (copy > 0 -> copy : odb[page])

inline look_at_content()
{
    d_step {
        number = shows(0);
        holds(acknowledged_seen, number >= at_begin);
        holds(committed_only, number <= committed)
    }
    d_step { holds(one_state, shows(1) == number) }
}

inline acknowledge(what)
{
    d_step {
        if
        :: acknowledged < what -> acknowledged = what
        :: else
        fi
    }
}

inline see()
{
    look_at_content();
    acknowledge(number);
    d_step { holds(one_state, shows(0) == number && shows(1) == number) }
}

inline read()
{
#ifdef LATE_LOCK
    entered();
    unshare_main;
    share_main();
#else
    share_main();
    entered();
#endif
    see();
    stay_in_room();
    unshare_main
}

inline read_from_the_room()
{
    share_from_the_room_of_others();
    entered();
    see();
    unshare_main
}

inline begin_transaction()
{
    look_at_content();
    d_step {
        if
        :: begun <= number -> begun = number + 1
        :: else
        fi
    }
}

/* A new slot, or a record of the redo log. */
inline commit()
{
    d_step {
        holds(one_writer, writer == me);
        committed = number + 1;
        if
        :: is_redo -> records = committed
        :: else ->
            undo_pages = 0;
            turn++;
            turn_first = committed
        fi
    }
    acknowledge(number + 1)
}

/* The old content of a page is in the log before the page changes. */
inline store_undoably(page)
{
#ifdef LATE_RECORD
    store(page, number + 1);
#endif
    d_step {
        undo_old = number;
        undo_pages = page + 1
    }
#ifndef LATE_RECORD
    store(page, number + 1)
#endif
}

inline write_undo()
{
    take_main();
    entered();
    begin_transaction();
    store_undoably(0);
    store_undoably(1);
#ifdef EARLY_UNLOCK
    give_main();
#endif
    commit();
    stay_in_room();
    if
    :: main == me -> give_main()
    :: else
    fi
}

inline checkpoint()
{
    take_main();
#ifdef EARLY_UNLOCK
    give_main();
#endif
    settle(redo);
    known_turn = turn;
    if
    :: main == me -> give_main()
    :: else
    fi
}

inline write_redo()
{
    entered();
    begin_transaction();
    commit();
    copy = number + 1;
    if
    :: checkpoint()
    :: skip
    fi
}

inline write()
{
    take_writer();
    if
    :: is_redo -> write_redo(); stay_in_room()
    :: else -> write_undo()
    fi;
    give_writer()
}

proctype process(byte me)
{
    bool is_redo = me < redo_processes;
    mtype own = (is_redo -> redo : undo);
    bool writes;
    bool stays; /* in a room, for another thread */
    bool is_late; /* comes to read when the notice says that a writer waits */
    bit phase;    /* of the notice; of the gate that it closes */
    byte round, at_begin, number;
    byte copy, known_turn; /* what the private copies show; 0: there are none */
#ifdef EARLY_START
    byte publishing;
#endif
    {
        do
        :: atomic {
            round < ROUNDS;
            round++;
            at_begin = acknowledged;
            if
            :: writes = false
            :: writes = true
            fi;
#ifdef THREADS
            if
            :: stays = false
            :: stays = true
            fi
#endif
        }
            if
            :: writes -> write()
            :: else -> read()
            fi
#ifdef THREADS
            ;
            if
            :: stays ->
                stays = false;
                writes = false;
#ifdef OWN_WRITER_FIRST
                take_writer();
                give_writer();
#endif
                read_from_the_room()
            :: else
            fi
#endif
        :: else -> break
        od
    } unless {
        dead[me]
    };
    atomic { /* that ends may be equal */
        round = 0;
        writes = false;
        stays = false;
        is_late = false;
        phase = 0;
        at_begin = 0;
        number = 0;
        copy = 0;
        known_turn = 0
    }
}

/* SIGKILL, so many times, to anybody who has a lock: without one it leaves nothing behind. */
#define has_a_lock(who)                                                                            \
    (turnstile == who || writer == who || gate[0] == who || gate[1] == who || main == who ||       \
     ((room[0] | room[1] | gate_shared[0] | gate_shared[1] | main_shared) & (1 << who)))

proctype killer()
{
    byte victim;
end:
    do
    :: deaths < DEATHS ->
        atomic {
            select(victim : 0 .. PROCESSES - 1);
            if
            :: !dead[victim] && has_a_lock(victim) ->
                d_step {
                    dead[victim] = true;
                    deaths++;
                    let_go(victim);
                    victim = 0
                }
            :: else -> victim = 0
            fi
        }
    od
}

init
{
    byte n;
    atomic {
#ifndef ONLY_UNDO
        select(redo_processes : 0 .. PROCESSES);
#endif
        for (n : 0 .. PROCESSES - 1) {
            run process(n)
        }
        n = 0;
        run killer()
    }
}

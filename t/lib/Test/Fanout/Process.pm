package Test::Fanout::Process;

# A program that a test starts, and that never outlives it: ended by its pid
# when the test ends in whatever way, and by the kernel if the test is
# killed.

use strict;
use warnings;

use Errno qw(EINTR);
use Fcntl qw(F_SETFD);
use POSIX qw(WNOHANG _exit);
use Time::HiRes qw(time);

# every time that a test waits at most is so many times as long, for who is
# just slow has not failed
our $PATIENCE = 3;

my $owner = $$;
my %live;

# a second signal shall not disturb the end

$SIG{INT} = $SIG{TERM} = $SIG{HUP} = sub {
    @SIG{qw(INT TERM HUP)} = ('IGNORE') x 3;
    exit 130;
};

$SIG{PIPE} = 'IGNORE';

# prctl(PR_SET_PDEATHSIG) on the machines that we know
my %prctl = (x86_64 => 157, aarch64 => 167);
my $prctl = $prctl{(POSIX::uname())[4]};


# new(cmd => [...], out => FILE, err => FILE, in => 1, env => {...}): out is
# a pipe for line() if no file is named, in => 1 a pipe for say()
sub new {
    my ($class, %o) = @_;

    my $self = bless { %o, buf => '', status => undef }, $class;

    my ($in_r, $in_w, $out_r, $out_w);

    if ($o{in}) {
        pipe($in_r, $in_w) or die "pipe: $!\n";
    }

    if (!defined $o{out}) {
        pipe($out_r, $out_w) or die "pipe: $!\n";
    }

    $| = 1;

    my $pid = fork();
    die "fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        eval { child(\%o, $in_r, $out_w) };
        print STDERR "$o{cmd}[0]: $@";
        _exit(127);
    }

    if ($in_w) {
        $in_w->autoflush(1);
    }

    $self->{pid} = $pid;
    $self->{to} = $in_w;
    $self->{from} = $out_r;

    $live{$pid} = $self;

    return $self;
}


# a process that another one has started; ended with the test as well, but not
# by the kernel, and of its status nothing is known but that it ended: 0.
# When the one that started it ends, it becomes a child of the test
# (PR_SET_CHILD_SUBREAPER), if the test has called this before.
sub adopt {
    my ($class, $pid) = @_;

    syscall($prctl, 36, 1, 0, 0, 0) if $prctl;

    return if !defined $pid;

    my $self = bless {
        cmd => ["process $pid"], pid => $pid, buf => '', status => undef,
        adopted => 1,
    }, $class;

    return $live{$pid} = $self;
}


sub child {
    my ($o, $in, $out) = @_;

    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE);

    if ($prctl) {
        syscall($prctl, 1, 15, 0, 0, 0);
        _exit(127) if getppid() != $owner && getppid() == 1;
    }

    if ($in) {
        open STDIN, '<&', $in or die "stdin: $!\n";
    } else {
        open STDIN, '<', '/dev/null' or die "stdin: $!\n";
    }

    if ($out) {
        open STDOUT, '>&', $out or die "stdout: $!\n";
    } else {
        open STDOUT, '>>', $o->{out} or die "$o->{out}: $!\n";
    }

    if (defined $o->{err}) {
        open STDERR, '>>', $o->{err} or die "$o->{err}: $!\n";
    }

    %ENV = (%ENV, %{ $o->{env} || {} });

    exec { $o->{cmd}[0] } @{ $o->{cmd} } or die "$!\n";
}


sub pid { $_[0]{pid} }


# one line of its output, or undef at the end of it
sub line {
    my ($self, $seconds) = @_;

    my $until = time() + $PATIENCE * ($seconds || 10);

    while ($self->{buf} !~ /\n/) {
        my $left = $until - time();

        die "$self->{cmd}[0]: no line in time\n" if $left <= 0;

        my $rin = '';
        vec($rin, fileno($self->{from}), 1) = 1;

        my $n = select($rin, undef, undef, $left);
        next if $n <= 0;

        $n = sysread($self->{from}, $self->{buf}, 65536,
                     length $self->{buf});

        if (!$n) {
            next if !defined $n && $! == EINTR;
            return length $self->{buf} ? delete_buf($self) : undef;
        }
    }

    $self->{buf} =~ s/^(.*?)\n//s;
    return $1;
}


sub delete_buf {
    my ($self) = @_;

    my $rest = $self->{buf};
    $self->{buf} = '';
    return $rest;
}


sub say {
    my ($self, $line) = @_;

    print { $self->{to} } "$line\n"
        or die "$self->{cmd}[0]: can't write: $!\n";
}


sub close_in {
    my ($self) = @_;

    close delete $self->{to} if $self->{to};
}


# true while it runs
sub alive {
    my ($self) = @_;

    return 0 if defined $self->{status};

    return $self->adopted_alive if $self->{adopted};

    my $rc = waitpid($self->{pid}, WNOHANG);

    if ($rc == $self->{pid} || $rc == -1) {
        $self->{status} = $rc == -1 ? -1 : $?;
        delete $live{$self->{pid}};
        return 0;
    }

    return 1;
}


# not gone, and not only waiting to be collected by whose child it is
sub adopted_alive {
    my ($self) = @_;

    waitpid($self->{pid}, WNOHANG);

    if (open my $fh, '<', "/proc/$self->{pid}/stat") {
        return 1 if (<$fh> // '') =~ /^\d+ \(.*\) [^ZX]/s;
    }

    $self->{status} = 0;
    delete $live{$self->{pid}};

    return 0;
}


sub signal {
    my ($self, $signal) = @_;

    kill $signal, $self->{pid} if $self->alive;
}


# its status ($?), or undef if it still runs after that time and patience
sub wait {
    my ($self, $seconds) = @_;

    my $until = time() + $PATIENCE * ($seconds || 10);

    while ($self->alive) {
        return if time() > $until;
        select undef, undef, undef, 0.005;
    }

    return $self->{status};
}


# ends it, by force after that time; true if no force was needed
sub stop {
    my ($self, $signal, $seconds) = @_;

    $self->signal($signal || 'TERM');
    $self->close_in if !$signal;

    return 1 if defined $self->wait($seconds || 10);

    $self->signal('KILL');
    $self->wait(10);

    return 0;
}


END {
    if ($$ == $owner) {
        my $status = $?;
        my @left = values %live;

        $_->signal('TERM') for @left;

        for (@left) {
            if (!defined $_->wait(5)) {
                $_->signal('KILL');
                $_->wait(5);
            }
        }

        $? = $status;
    }
}


1;

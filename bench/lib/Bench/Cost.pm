package Bench::Cost;

# What processes cost: CPU, memory, writes.

use strict;
use warnings;

use Exporter qw(import);

use Test::Fanout::Process;

our @EXPORT_OK = qw(cpu memory counter counted);

# all that may send bytes to a client
my @calls = map { "syscalls:sys_enter_$_" }
            qw(write writev sendto sendmsg sendmmsg);


# nanoseconds of CPU so far, user and system, of all threads that live:
# what utime and stime say, but finer than a tick
sub cpu {
    my (@pids) = @_;

    my $sum = 0;

    for my $path (map { glob "/proc/$_/task/[0-9]*/schedstat" } @pids) {
        open my $fh, '<', $path or next;
        $sum += (split / /, <$fh> // '0')[0];
    }

    return $sum;
}


# proportional set size, bytes: "Pss", or of memory that is in no file and not
# shared, "Pss_Anon"
sub memory {
    my ($which, @pids) = @_;

    my $kb = 0;

    for my $pid (@pids) {
        open my $fh, '<', "/proc/$pid/smaps_rollup"
            or die "/proc/$pid/smaps_rollup: $!\n";

        while (my $line = <$fh>) {
            $kb += $1 if $line =~ /^$which:\s+(\d+)/;
        }
    }

    return $kb * 1024;
}


# counts the writes of processes from now on, if perf is there and may
sub counter {
    my (@pids) = @_;

    my $tracing = '/sys/kernel/tracing/events/syscalls';

    return if $> != 0 || !-d $tracing || !grep { -x "$_/perf" }
                                               split /:/, $ENV{PATH};

    return Test::Fanout::Process->new(
        cmd => ['sh', '-c', 'exec "$@" 2>&1', 'sh', 'perf', 'stat', '-x', ',',
                '-p', join(',', @pids), map { ('-e', $_) } @calls]);
}


sub counted {
    my ($counter) = @_;

    my ($sum, $known) = (0, 0);

    $counter->signal('INT');

    while (defined(my $line = $counter->line(10))) {
        next if $line !~ /^(\d+),.*syscalls:/;

        $sum += $1;
        $known = 1;
    }

    return $known ? $sum : undef;
}


1;

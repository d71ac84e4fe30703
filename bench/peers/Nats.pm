package Bench::Peer::Nats;

# nats-server with its websocket, published to by NATS' own protocol: no
# Kafka in its figures either.

use strict;
use warnings;

use parent -norequire, 'Bench::Peer';

use File::Temp qw(tempdir);

use Test::Fanout qw(free_port);


sub start {
    my ($self) = @_;

    $self->{dir} = tempdir('fanout-bench-XXXXXX', TMPDIR => 1,
                             CLEANUP => 1);
    $self->{port} = free_port();
    $self->{plain} = free_port();

    open my $fh, '>', "$self->{dir}/nats.conf" or die "nats.conf: $!\n";
    print $fh <<"EOT";
listen: "127.0.0.1:$self->{plain}"
max_connections: 100000
max_payload: 1MB
write_deadline: "60s"
websocket {
    listen: "127.0.0.1:$self->{port}"
    no_tls: true
}
EOT
    close $fh;

    $self->run_program($self->{port}, 'nats-server', '-c',
                       "$self->{dir}/nats.conf");
}


sub dialect { 'nats' }
sub port { $_[0]{port} }
sub filter { "$_[0]{topic}." . $_[0]->channel }
sub target { ('--to', 'nats', '--port', $_[0]{plain}) }


1;
